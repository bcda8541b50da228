// Generates the set from this machine's apt index, builds some of it with Nix and runs it in a root
// that has nothing but the closure. Needs root, nix-build and an apt index (`apt-get update`).

import { existsSync } from "node:fs";
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AptIndexAbsent } from "../../../nix/debian/apt-index.ts";
import { absentText, generateDebianSet, type Summary } from "../../../nix/debian/generate.ts";
import { run } from "../../../nix/debian/run.ts";
import { skipWhere } from "../../skip-where.ts";
import { readElf } from "./elf-file.ts";

const NIX_CONFIG = "sandbox = false\nsubstituters =\nmax-jobs = 2";
const env = { NIX_CONFIG };
const LOCK = "lock.x86_64-linux.json";

const ready = await Promise.all([run("nix-build", ["--version"]), run("apt-get", ["-v"])]).then(
  () => true,
  () => false,
);
const skip = !ready ? "needs Nix and apt" : process.getuid?.() !== 0 ? "needs root" : false;

describe("the Debian package set", skipWhere(skip), () => {
  let work = "";
  let set = "";
  let summary: Summary | undefined;

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), "nixport-debian-"));
    set = join(work, "set");
    summary = await generateDebianSet({ outDir: set });
  });
  afterAll(() => rm(work, { recursive: true, force: true }));

  const evaluate = async (expression: string): Promise<unknown> => {
    const wrapped = `let set = import ${set} { system = "x86_64-linux"; }; in ${expression}`;
    const args = ["--eval", "--strict", "--json", "-E", wrapped];
    return JSON.parse(await run("nix-instantiate", args, { env }));
  };
  const build = async (attribute: string, system = "x86_64-linux"): Promise<string> => {
    const args = ["--no-out-link", set, "--argstr", "system", system, "-A", attribute];
    // What it is made of is downloaded first.
    return (await run("nix-build", args, { env, timeoutMs: 600_000 })).trim();
  };
  const closure = async (path: string): Promise<readonly string[]> =>
    (await run("nix-store", ["--query", "--requisites", path])).trim().split("\n");

  // A root of the closures of `attributes`, their files as in an image, and a shell if there is one.
  const rootOf = async (...attributes: readonly string[]): Promise<string> => {
    const root = await mkdtemp(join(work, "root-"));
    await chmod(root, 0o755);
    for (const folder of ["bin", "dev/pts", "etc", "lib64", "nix/store", "proc", "root", "tmp"]) {
      await mkdir(join(root, folder), { recursive: true });
    }
    await run("mknod", ["-m", "666", join(root, "dev/null"), "c", "1", "3"]);
    await run("mknod", ["-m", "666", join(root, "dev/urandom"), "c", "1", "9"]);
    await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
    for (const attribute of attributes) {
      const path = await build(attribute);
      for (const part of await closure(path)) {
        await plant(part, join(root, part));
        if (!/-bash-\d/.test(part)) continue;
        await symlink(join(part, "bin/sh"), join(root, "bin/sh")).catch(() => undefined);
      }
      for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
        const place = join(root, entry.parentPath.slice(path.length), entry.name);
        if (entry.isDirectory()) await mkdir(place, { recursive: true });
        else await symlink(join(entry.parentPath, entry.name), place).catch(() => undefined);
      }
    }
    return root;
  };
  // A namespace of its own, so that /proc is gone with the command whatever happens.
  const inRoot = (root: string, ...command: readonly string[]): Promise<string> =>
    run("unshare", inRootArguments(root, command), { env: chrootEnv });
  const onTerminal = (root: string, keys: string, ...command: readonly string[]) => {
    const words = ["unshare", ...inRootArguments(root, command)];
    const options = { env: chrootEnv, input: keys };
    return run("script", ["-qec", words.join(" "), "/dev/null"], options);
  };

  test("lists its roots, and leaves an unchanged folder untouched", async () => {
    const first = await stat(join(set, LOCK));
    const again = await generateDebianSet({ outDir: set });
    expect(summary?.changed).toBe(true);
    expect(again.changed).toBe(false);
    expect((await stat(join(set, LOCK))).ino).toBe(first.ino);
    const roots = summary?.locks[0]?.roots;
    expect(roots?.some((root) => root.attribute === "git" && root.packages > 10)).toBe(true);
    expect(await readdir(work)).toStrictEqual(["set"]);
  });

  test("has nixpkgs' names, nested sets, and facts about each package", async () => {
    const facts = "{ inherit (p) type pname; inherit (p.meta) description mainProgram; }";
    expect(await evaluate(`let p = set._7zz; in ${facts}`)).toStrictEqual({
      type: "derivation",
      pname: "7zip",
      description: "7-Zip file archiver with a high compression ratio",
      mainProgram: "7zz",
    });
    expect(await evaluate("set.python3Packages.PyYAML.type")).toBe("derivation");
    expect(await evaluate("set.haskellPackages.shellcheck.outPath == set.shellcheck.outPath")).toBe(
      true,
    );
    expect(String(await evaluate("set.cacert.name"))).toMatch(/^nss-cacert-/);
  });

  test("has outputs where nixpkgs has them, in lib itself", async () => {
    const same = (a: string, b: string) => evaluate(`set.${a}.outPath == set.${b}.outPath`);
    expect(await same("glibc.out", "glibc")).toBe(true);
    expect(await same("openssl.out", "openssl")).toBe(false);
    expect(await same("openssl.bin", "openssl")).toBe(true);
    expect(await evaluate("set.openssl.out.meta.license")).toMatchObject([
      { spdxId: "Apache-2.0" },
    ]);
    const libraries: Readonly<Record<string, readonly string[]>> = {
      "glibc.out": ["libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"],
      "openssl.out": ["libcrypto.so.3", "libssl.so.3"],
      "stdenv.cc.cc.lib": ["libgcc_s.so.1", "libstdc++.so.6"],
      "bzip2.out": ["libbz2.so.1.0"],
      "curl.out": ["libcurl.so.4"],
      "jq.out": ["libjq.so.1"],
      "lz4.lib": ["liblz4.so.1"],
      "sqlite.out": ["libsqlite3.so.0"],
      "xz.out": ["liblzma.so.5"],
      "zstd.out": ["libzstd.so.1"],
      zlib: ["libz.so.1"],
    };
    for (const [attribute, names] of Object.entries(libraries)) {
      const folder = join(await build(attribute), "lib");
      expect(await readdir(folder), attribute).toEqual(expect.arrayContaining([...names]));
      expect(await readdir(folder), attribute).not.toContain("x86_64-linux-gnu");
    }
  });

  test("has a lock for arm64 too, without what Debian has for amd64 only", async () => {
    const arm64 = `import ${set} { system = "aarch64-linux"; }`;
    expect(await evaluate(`(${arm64}).hello.system`)).toBe("aarch64-linux");
    expect(await evaluate("set.msr-tools.system")).toBe("x86_64-linux");
    expect(await evaluate(`(${arm64}).msr-tools.meta.platforms`)).toStrictEqual(["x86_64-linux"]);
    await expect(build("msr-tools", "aarch64-linux")).rejects.toThrow(
      /has no msr-tools for aarch64-linux/,
    );
  });

  test("builds arm64 programs on this machine, with the loader and libraries of that type", async () => {
    const hello = await build("hello", "aarch64-linux");
    const machine = async (file: string) => readElf(await readFile(file)).machine;
    const program = join(hello, "bin/hello");
    const { interpreter = "", runpath = "" } = readElf(await readFile(program));
    expect(await machine(program), "EM_AARCH64").toBe(183);
    expect(await machine(interpreter)).toBe(183);
    expect(await machine(join(runpath, "libc.so.6"))).toBe(183);
    expect(await closure(hello)).toHaveLength(2);
    // An output is of the type of its package, whatever machine makes it.
    const arm64 = `import ${set} { system = "aarch64-linux"; }`;
    expect(await evaluate(`(${arm64}).glibc.out.system`)).toBe("aarch64-linux");
    expect(await machine(join(await build("nix-ld", "aarch64-linux"), "libexec/nix-ld"))).toBe(183);
  });

  test("is a set without a machine type whose index cannot be had, and says so", async () => {
    const foreignIndex = async (architecture: string) => {
      throw new AptIndexAbsent(architecture);
    };
    const fresh = join(work, "native-only");
    const { locks, absent } = await generateDebianSet({ outDir: fresh, foreignIndex });
    expect(locks).toHaveLength(1);
    expect(absent.map(absentText).join()).toMatch(
      /^no packages for arm64: apt has no package index/,
    );
    const files = await readdir(fresh);
    expect(files.filter((name) => name.startsWith("lock."))).toStrictEqual([LOCK]);
    await rm(fresh, { recursive: true });

    const again = await generateDebianSet({ outDir: set, foreignIndex });
    expect([again.changed, again.absent[0]?.isKept]).toStrictEqual([false, true]);
  });

  test("says for which systems it has a package that it has not for another", async () => {
    const riscv64 = `import ${set} { system = "riscv64-linux"; }`;
    const platforms = await evaluate(`(${riscv64}).python3Packages.six.meta.platforms`);
    expect(platforms).toStrictEqual(["x86_64-linux"]);
    await expect(build("hello", "riscv64-linux")).rejects.toThrow(/has no hello for riscv64-linux/);
  });

  test("builds hello on nothing but the C library, and it greets", async () => {
    const names = (await closure(await build("hello"))).map((path) => basename(path).slice(33));
    expect(names, names.join(" ")).toHaveLength(2);
    expect(await inRoot(await rootOf("hello"), "hello")).toMatch(/Hello, world!/);
  });

  test("builds busybox as a single path with a shell", async () => {
    expect(await closure(await build("busybox"))).toHaveLength(1);
    const root = await rootOf("busybox");
    expect(await inRoot(root, "sh", "-c", "echo a b | awk '{ print $2 }'")).toBe("b\n");
  });

  test("starts programs that Nix did not build, in C and C++, with what /lib shows", async () => {
    const libraries = ["glibc.out", "openssl.out", "stdenv.cc.cc.lib", "zlib"];
    const root = await rootOf("nix-ld", ...libraries);
    await symlink("/libexec/nix-ld", join(root, "lib64/ld-linux-x86-64.so.2"));
    // A program of the machine's own, and Node as its makers build it.
    await copyFile("/bin/cat", join(root, "tmp/cat"));
    await copyFile(process.execPath, join(root, "tmp/node"));
    expect(await closure(await build("nix-ld"))).toHaveLength(1);
    expect(await inRoot(root, "/tmp/cat", "/etc/passwd")).toMatch(/^root:/);
    const code =
      "console.log(require('node:zlib').crc32('a'), Intl.NumberFormat('de').format(1.5))";
    expect(await inRoot(root, "/tmp/node", "-e", code)).toBe("3904355907 1,5\n");
  });

  test("finds no library but those that a program names", async () => {
    const root = await rootOf("python3", "stdenv.cc.cc.lib");
    const code = "import ctypes; ctypes.CDLL('libstdc++.so.6')";
    await expect(inRoot(root, "python3", "-c", code)).rejects.toThrow(
      /OSError: libstdc\+\+\.so\.6: cannot open shared object file/,
    );
  });

  const systems = ["x86_64-linux", "aarch64-linux"];
  test.for(systems)(
    "has C.UTF-8 beside its C library for %s, and a loader that searches nowhere",
    async (system) => {
      const folder = join(await build("glibc", system), "lib");
      expect(await readdir(join(folder, "locale"))).toStrictEqual(["locale-archive"]);
      expect(await readFile(join(folder, "libc.so.6"), "latin1")).toContain(
        `\0${folder}/locale/locale-archive\0`,
      );
      const loader = (await readdir(folder)).find((name) => name.startsWith("ld-linux")) ?? "";
      const text = await readFile(join(folder, loader), "latin1");
      expect(text).not.toMatch(/\0(\/usr)?\/lib\/(\S+-linux-gnu\/)?\0|\0\/etc\/ld\.so/);
      const original = join(await build("nix-ld", system), "libexec/nix-ld");
      expect(await readFile(original, "latin1")).toMatch(/\0\/lib\/\0/);
    },
  );

  test("goes by LD_LIBRARY_PATH before what a program names, as nixpkgs' programs do", async () => {
    const root = await rootOf("bash");
    await writeFile(join(root, "tmp/libtinfo.so.6"), "no library");
    const command = ["bash", "-c", "LD_LIBRARY_PATH=/tmp bash -c 'echo unharmed'"];
    await expect(inRoot(root, ...command)).rejects.toThrow(/libtinfo\.so\.6: file too short/);
  });

  test("opens what lies beside the C library, for whoever ends a thread", async () => {
    const code = "import ctypes; print('ends', flush=True); ctypes.CDLL(None).pthread_exit(None)";
    expect(await inRoot(await rootOf("python3"), "python3", "-c", code)).toBe("ends\n");
  });

  test("counts characters in C.UTF-8", async () => {
    const script = "printf é | LC_ALL=C.UTF-8 wc -m; printf é | LC_ALL=C wc -m";
    expect(await inRoot(await rootOf("coreutils", "bash"), "bash", "-c", script)).toBe("1\n2\n");
  });

  test("builds, and collects garbage, with the Nix that is in the set", async () => {
    const root = await rootOf("nix", "bash", "coreutils");
    const derivation =
      'derivation { name = "a"; builder = "/bin/sh"; args = [ "-c" "echo built > $out" ]; system = builtins.currentSystem; }';
    const script = [
      "set -e; cd /tmp; export NIX_CONFIG=$'substituters =\\nsandbox = false\\nbuild-users-group ='",
      "nix-store --version; cat $(nix-build --no-out-link /tmp/a.nix)",
      "nix-collect-garbage 2> /dev/null",
    ].join("\n");
    await writeFile(join(root, "tmp/a.nix"), derivation);
    await symlink("pts/ptmx", join(root, "dev/ptmx"));
    const output = await run("unshare", withTerminals(root, ["bash", "-c", script]), {
      env: chrootEnv,
    });
    expect(output).toMatch(/^nix-store \(Nix\) \d.*\nbuilt\n\d+ store paths deleted/s);
  });

  test("gives cacert one bundle under nixpkgs' name for it", async () => {
    const folder = join(await build("cacert"), "etc/ssl/certs");
    const bundle = await readFile(join(folder, "ca-bundle.crt"), "utf8");
    expect(await readdir(folder)).toStrictEqual(["ca-bundle.crt"]);
    expect(bundle.split("BEGIN CERTIFICATE").length).toBeGreaterThan(50);
  });

  test("gives iana-etc the protocols and the services", async () => {
    const path = await build("iana-etc");
    expect(await readFile(join(path, "etc/services"), "utf8")).toMatch(/^https\s+443\/tcp/m);
    expect(await readFile(join(path, "etc/protocols"), "utf8")).toMatch(/^tcp\s+6/m);
  });

  test("draws on a terminal with htop, less and vim", async () => {
    const root = await rootOf("htop", "less", "vim");
    await copyFile("/etc/passwd", join(root, "etc/text"));
    const alternateScreen = "\u001b[?1049h";
    expect(await onTerminal(root, "q", "htop")).toContain(alternateScreen);
    expect(await onTerminal(root, "q", "less", "/etc/text")).toContain(alternateScreen);
    expect(await onTerminal(root, ":q\r", "vim", "/etc/text")).toContain(alternateScreen);
  });

  test("commits to a git repository, clones it by path and adds a submodule", async () => {
    const root = await rootOf("git");
    const script = [
      "set -e; cd /tmp; export GIT_CONFIG_COUNT=1",
      "export GIT_CONFIG_KEY_0=protocol.file.allow GIT_CONFIG_VALUE_0=always",
      "git init -q one; cd one; git config user.email a@b.invalid; git config user.name A",
      "echo 1 > file; git add file; git commit -q -m first; cd ..",
      "git clone -q /tmp/one two; cd two; git submodule --quiet add /tmp/one sub",
      "git submodule status; git log --format=%s; git-upload-pack /tmp/one < /dev/null || true",
    ].join("\n");
    const output = await inRoot(root, "sh", "-c", script);
    expect(output).toMatch(/ sub /);
    expect(output).toMatch(/^first$/m);
    // The wrapper keeps the name a program is called by.
    expect(output).toMatch(/refs\/heads\//);
  });

  test("gives what git runs no programs but the image's", async () => {
    const has = "alias.has=!command -v sed || echo none";
    expect(await inRoot(await rootOf("git"), "git", "-c", has, "has")).toBe("none\n");
  });

  test("runs python3 with its compiled modules", async () => {
    const root = await rootOf("python3");
    const modules = "ssl, sqlite3, ctypes, lzma, bz2, readline, curses, zlib, hashlib, uuid";
    const code = `import ${modules}; print(sqlite3.connect(":memory:").execute("select 6*7").fetchone())`;
    expect(await inRoot(root, "python3", "-c", code)).toBe("(42,)\n");
  });

  test("has modules with parts in C where nixpkgs has them, and leads python3 and perl there", async () => {
    const modules = ["python3Packages.markupsafe", "python3Packages.PyYAML", "perlPackages.JSONXS"];
    const root = await rootOf("python3", "perl", "bash", ...modules);
    const script = [
      "export NIX_PYTHONPATH=$(echo /lib/python3.*/site-packages) PERL5LIB=/lib/perl5/site_perl",
      "python3 -c 'from markupsafe import _speedups; import yaml; print(yaml.safe_load(\"[1]\"))'",
      // What this needs is beside it in no image but by its own word (see below).
      "for path in /nix/store/*/lib/perl5/site_perl; do PERL5LIB+=:$path; done",
      "perl -MJSON::XS -e 'print encode_json [2]'",
    ].join("\n");
    expect(await inRoot(root, "sh", "-ec", script)).toBe("[1]\n[2]");
  });

  test.for([
    {
      attribute: "python3Packages.requests",
      list: "propagated-build-inputs",
      names: ["python3-3", "python3.\\d+-urllib3-"],
    },
    {
      attribute: "perlPackages.JSONXS",
      list: "propagated-user-env-packages",
      names: ["perl5\\.[\\d.]+-types-serialiser-", "perl-5"],
    },
  ])(
    "says what has to be beside $attribute, as nixpkgs does",
    async ({ attribute, list, names }) => {
      const text = await readFile(join(await build(attribute), "nix-support", list), "utf8");
      for (const name of names) expect(text).toMatch(new RegExp(`/nix/store/[^/-]+-${name}`));
    },
  );

  test("runs perl with its modules, in scripts and from within itself", async () => {
    const root = await rootOf("perl", "moreutils");
    const script = join(root, "bin/script.pl");
    const body =
      "use POSIX; use List::Util qw(sum); print floor(1.5) + sum(1, 2), `perl -MPOSIX -e 'print 5'`;";
    await writeFile(script, `#!/bin/perl -w\nuse strict;\n${body}\n`);
    await chmod(script, 0o755);
    expect(await inRoot(root, "script.pl")).toBe("45");
    expect(await inRoot(root, "sh", "-c", "echo line | ts x")).toMatch(/^x line$/m);
  });

  test("looks for certificates where images have them, with openssl's library", async () => {
    const root = await rootOf("python3");
    const code =
      "import ssl; paths = ssl.get_default_verify_paths(); print(paths.openssl_cafile, paths.openssl_capath)";
    const output = await inRoot(root, "python3", "-c", code);
    expect(output).toBe("/etc/ssl/cert.pem /etc/ssl/certs\n");
  });

  test("fetches over HTTP with curl, and fails cleanly when nobody answers", async () => {
    const root = await rootOf("curl", "python3");
    await writeFile(join(root, "tmp/server.py"), SERVER);
    expect(await inRoot(root, "python3", "/tmp/server.py")).toBe("answered");
    await expect(inRoot(root, "curl", "-sS", "https://127.0.0.1:9/")).rejects.toThrow(
      /curl: \(7\)/,
    );
  });

  test("builds the same bytes again in a sandbox, where there is nothing but the store", async () => {
    await build("python3");
    const strict = {
      NIX_CONFIG: `${NIX_CONFIG}\nsandbox = true\nsandbox-fallback = false\nsandbox-paths =`,
    };
    const [derivation = ""] = (await run("nix-instantiate", [set, "-A", "python3"])).split("\n");
    const all = (await run("nix-store", ["--query", "--requisites", derivation])).split("\n");
    // Where everything comes from, what builds it, and programs with fixed addresses.
    for (const name of ["debian-build-tools", "glibc-", "python3-"]) {
      const one = all.find((path) => basename(path).slice(33).startsWith(name)) ?? name;
      await run("nix-store", ["--realise", "--check", one], { env: strict });
    }
  });

  test("lets no package keep what built it", async () => {
    const paths = await closure(await build("git"));
    expect(paths.filter((path) => /build-tools|busybox/.test(path))).toStrictEqual([]);
  });
});

// Listens first and then lets curl fetch from it, so that nothing has to wait.
const SERVER = `
import http.server, subprocess, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"answered")
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
subprocess.run(["curl", "-sS", "http://127.0.0.1:%d/" % server.server_port], check=True)
`;

const chrootEnv = {
  PATH: "/bin:/usr/bin:/usr/sbin:/sbin",
  HOME: "/root",
  TERM: "xterm",
  LANG: "C",
};

// Nix reads what builders say from a terminal that it opens.
function withTerminals(root: string, command: readonly string[]): readonly string[] {
  const mount = 'mount -t devpts -o newinstance pts "$0/dev/pts" && exec chroot "$0" "$@"';
  const namespace = ["--mount", "--pid", "--fork", `--mount-proc=${root}/proc`];
  return [...namespace, "sh", "-c", mount, root, ...command];
}

// Hard links where the root lies beside the store: python3 and perl have thousands of files.
async function plant(path: string, place: string): Promise<void> {
  if (existsSync(place)) return;
  await run("cp", ["-a", "--link", path, place]).catch(async () => {
    await rm(place, { recursive: true, force: true });
    await run("cp", ["-a", path, place]);
  });
}

function inRootArguments(root: string, command: readonly string[]): readonly string[] {
  return ["--mount", "--pid", "--fork", `--mount-proc=${root}/proc`, "chroot", root, ...command];
}
