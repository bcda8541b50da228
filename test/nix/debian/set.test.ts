// Generates the set from this machine's apt index, builds some of it with Nix and runs it in a root
// that has nothing but the closure. Needs root, nix-build and an apt index (`apt-get update`).

import assert from "node:assert/strict";
import {
  chmod,
  copyFile,
  cp,
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
import { after, before, describe, test } from "node:test";
import { AptIndexAbsent } from "../../../nix/debian/apt-index.ts";
import { absentText, generateDebianSet, type Summary } from "../../../nix/debian/generate.ts";
import { run } from "../../../nix/debian/run.ts";
import { readElf } from "./elf-file.ts";

const NIX_CONFIG = "sandbox = false\nsubstituters =\nmax-jobs = 2";
const env = { NIX_CONFIG };
const LOCK = "lock.x86_64-linux.json";

const ready = await Promise.all([run("nix-build", ["--version"]), run("apt-get", ["-v"])]).then(
  () => true,
  () => false,
);
const skip = !ready ? "needs Nix and apt" : process.getuid?.() !== 0 ? "needs root" : false;

describe("the Debian package set", { skip }, () => {
  let work = "";
  let set = "";
  let summary: Summary | undefined;

  before(async () => {
    work = await mkdtemp(join(tmpdir(), "nixport-debian-"));
    set = join(work, "set");
    summary = await generateDebianSet({ outDir: set });
  });
  after(() => rm(work, { recursive: true, force: true }));

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

  // A root of the closures of `attributes`, their programs in /bin, and a shell if there is one.
  const rootOf = async (...attributes: readonly string[]): Promise<string> => {
    const root = await mkdtemp(join(work, "root-"));
    await chmod(root, 0o755);
    for (const folder of ["bin", "dev", "etc", "nix/store", "proc", "root", "tmp"]) {
      await mkdir(join(root, folder), { recursive: true });
    }
    await run("mknod", ["-m", "666", join(root, "dev/null"), "c", "1", "3"]);
    await run("mknod", ["-m", "666", join(root, "dev/urandom"), "c", "1", "9"]);
    await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
    for (const attribute of attributes) {
      const path = await build(attribute);
      for (const part of await closure(path)) {
        await cp(part, join(root, part), { recursive: true, verbatimSymlinks: true, force: false });
        if (!/-bash-\d/.test(part)) continue;
        await symlink(join(part, "bin/sh"), join(root, "bin/sh")).catch(() => undefined);
      }
      for (const name of await readdir(join(path, "bin"))) {
        await symlink(join(path, "bin", name), join(root, "bin", name)).catch(() => undefined);
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
    assert.equal(summary?.changed, true);
    assert.equal(again.changed, false);
    assert.equal((await stat(join(set, LOCK))).ino, first.ino);
    const roots = summary?.locks[0]?.roots;
    assert.ok(roots?.some((root) => root.attribute === "git" && root.packages > 10));
    assert.deepEqual(await readdir(work), ["set"]);
  });

  test("has nixpkgs' names, nested sets, and facts about each package", async () => {
    const facts = "{ inherit (p) type pname; inherit (p.meta) description mainProgram; }";
    assert.deepEqual(await evaluate(`let p = set._7zz; in ${facts}`), {
      type: "derivation",
      pname: "7zip",
      description: "7-Zip file archiver with a high compression ratio",
      mainProgram: "7zz",
    });
    assert.equal(await evaluate("set.python3Packages.PyYAML.type"), "derivation");
    assert.equal(
      await evaluate("set.haskellPackages.shellcheck.outPath == set.shellcheck.outPath"),
      true,
    );
    assert.match(String(await evaluate("set.cacert.name")), /^nss-cacert-/);
  });

  test("has a lock for arm64 too, without what Debian has for amd64 only", async () => {
    const arm64 = `import ${set} { system = "aarch64-linux"; }`;
    assert.equal(await evaluate(`(${arm64}).hello.system`), "aarch64-linux");
    assert.equal(await evaluate("set.msr-tools.system"), "x86_64-linux");
    assert.deepEqual(await evaluate(`(${arm64}).msr-tools.meta.platforms`), ["x86_64-linux"]);
    await assert.rejects(build("msr-tools", "aarch64-linux"), /has no msr-tools for aarch64-linux/);
  });

  test("builds arm64 programs on this machine, with the loader and libraries of that type", async () => {
    const hello = await build("hello", "aarch64-linux");
    const machine = async (file: string) => readElf(await readFile(file)).machine;
    const program = join(hello, "bin/hello");
    const { interpreter = "", rpath = "" } = readElf(await readFile(program));
    assert.equal(await machine(program), 183, "EM_AARCH64");
    assert.equal(await machine(interpreter), 183);
    assert.equal(await machine(join(rpath, "libc.so.6")), 183);
    assert.equal((await closure(hello)).length, 2);
  });

  test("is a set without a machine type whose index cannot be had, and says so", async () => {
    const foreignIndex = async (architecture: string) => {
      throw new AptIndexAbsent(architecture);
    };
    const fresh = join(work, "native-only");
    const { locks, absent } = await generateDebianSet({ outDir: fresh, foreignIndex });
    assert.equal(locks.length, 1);
    assert.match(absent.map(absentText).join(), /^no packages for arm64: apt has no package index/);
    const files = await readdir(fresh);
    assert.deepEqual(
      files.filter((name) => name.startsWith("lock.")),
      [LOCK],
    );
    await rm(fresh, { recursive: true });

    const again = await generateDebianSet({ outDir: set, foreignIndex });
    assert.deepEqual([again.changed, again.absent[0]?.isKept], [false, true]);
  });

  test("says for which systems it has a package that it has not for another", async () => {
    const riscv64 = `import ${set} { system = "riscv64-linux"; }`;
    const platforms = await evaluate(`(${riscv64}).python3Packages.six.meta.platforms`);
    assert.deepEqual(platforms, ["x86_64-linux"]);
    await assert.rejects(build("hello", "riscv64-linux"), /has no hello for riscv64-linux/);
  });

  test("builds hello on nothing but the C library, and it greets", async () => {
    const names = (await closure(await build("hello"))).map((path) => basename(path).slice(33));
    assert.equal(names.length, 2, names.join(" "));
    assert.match(await inRoot(await rootOf("hello"), "hello"), /Hello, world!/);
  });

  test("builds busybox as a single path with a shell", async () => {
    assert.equal((await closure(await build("busybox"))).length, 1);
    const root = await rootOf("busybox");
    assert.equal(await inRoot(root, "sh", "-c", "echo a b | awk '{ print $2 }'"), "b\n");
  });

  test("gives cacert one bundle under two names", async () => {
    const folder = join(await build("cacert"), "etc/ssl/certs");
    const bundle = await readFile(join(folder, "ca-bundle.crt"), "utf8");
    assert.equal(await readFile(join(folder, "ca-certificates.crt"), "utf8"), bundle);
    assert.ok(bundle.split("BEGIN CERTIFICATE").length > 50);
  });

  test("gives iana-etc the protocols and the services", async () => {
    const path = await build("iana-etc");
    assert.match(await readFile(join(path, "etc/services"), "utf8"), /^https\s+443\/tcp/m);
    assert.match(await readFile(join(path, "etc/protocols"), "utf8"), /^tcp\s+6/m);
  });

  test("draws on a terminal with htop, less and vim", async () => {
    const root = await rootOf("htop", "less", "vim");
    await copyFile("/etc/passwd", join(root, "etc/text"));
    const alternateScreen = "\u001b[?1049h";
    assert.ok((await onTerminal(root, "q", "htop")).includes(alternateScreen));
    assert.ok((await onTerminal(root, "q", "less", "/etc/text")).includes(alternateScreen));
    assert.ok((await onTerminal(root, ":q\r", "vim", "/etc/text")).includes(alternateScreen));
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
    assert.match(output, / sub /);
    assert.match(output, /^first$/m);
    // The wrapper keeps the name a program is called by.
    assert.match(output, /refs\/heads\//);
  });

  test("runs python3 with its compiled modules, and PyYAML from its own path", async () => {
    const root = await rootOf("python3");
    const modules = "ssl, sqlite3, ctypes, lzma, bz2, readline, curses, zlib, hashlib, uuid";
    const code = `import ${modules}; print(sqlite3.connect(":memory:").execute("select 6*7").fetchone())`;
    assert.equal(await inRoot(root, "python3", "-c", code), "(42,)\n");
    const yaml = await build("python3Packages.PyYAML");
    for (const part of await closure(yaml)) {
      await cp(part, join(root, part), { recursive: true, verbatimSymlinks: true, force: false });
    }
    const load = `import sys; sys.path.append("${yaml}/lib/python3/dist-packages"); import yaml; print(yaml.safe_load("[1]"))`;
    assert.equal(await inRoot(root, "python3", "-c", load), "[1]\n");
  });

  test("runs perl with its modules, in scripts and from within itself", async () => {
    const root = await rootOf("perl", "moreutils");
    const script = join(root, "bin/script.pl");
    const body =
      "use POSIX; use List::Util qw(sum); print floor(1.5) + sum(1, 2), `perl -MPOSIX -e 'print 5'`;";
    await writeFile(script, `#!/bin/perl -w\nuse strict;\n${body}\n`);
    await chmod(script, 0o755);
    assert.equal(await inRoot(root, "script.pl"), "45");
    assert.match(await inRoot(root, "sh", "-c", "echo line | ts x"), /^x line$/m);
  });

  test("fetches over HTTP with curl, and fails cleanly when nobody answers", async () => {
    const root = await rootOf("curl", "python3");
    await writeFile(join(root, "tmp/server.py"), SERVER);
    assert.equal(await inRoot(root, "python3", "/tmp/server.py"), "answered");
    await assert.rejects(inRoot(root, "curl", "-sS", "https://127.0.0.1:9/"), /curl: \(7\)/);
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
    assert.deepEqual(
      paths.filter((path) => /build-tools|busybox/.test(path)),
      [],
    );
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

function inRootArguments(root: string, command: readonly string[]): readonly string[] {
  return ["--mount", "--pid", "--fork", `--mount-proc=${root}/proc`, "chroot", root, ...command];
}
