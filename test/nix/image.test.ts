import { createHash } from "node:crypto";
import {
  appendFile,
  copyFile,
  mkdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { basename, join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { digestOf } from "../../registry/naming/digest.ts";
import { EXPANSIONS, NEEDS } from "../../registry/naming/front-words.ts";
import { missingClient, runClient } from "../e2e/clients.ts";
import { DEBIAN_SET } from "../e2e/deployment.ts";
import { listLayout } from "../e2e/listing.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { plantFrontSet } from "../origin/front-set.ts";
import { plantSet, REPOSITORY_PREFIX, startHouse } from "../origin/house.ts";
import { testNix } from "../origin/nix/fixture.ts";
import { hidesHost } from "../origin/nix/sandbox-shell.ts";
import { createRepository } from "../origin/sources/git-repository.ts";
import { skipWhere } from "../skip-where.ts";

const nix = await testNix();
const limit = { timeout: 240_000 };
const SANDBOXED = "sandbox = true\nsandbox-fallback = false\nsubstituters =\nmax-jobs = 2\n";
const DEBIAN = `path!${await realpath(DEBIAN_SET)}`;

interface BuiltImage {
  readonly path: string;
  readonly digest: string;
  readonly manifest: {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string }[];
  };
  readonly layerLocations: Readonly<Record<string, { path: string; md5: string }>>;
}

/** `nix-build nix/image.nix`: what it printed, or the message it ended with. */
async function nixBuild(
  args: readonly string[],
  by = nix,
): Promise<{ path: string } | { error: string }> {
  const result = await by.run(
    "nix-build",
    [
      ...[join(by.expressions, "image.nix"), "--no-out-link"],
      ...["--argstr", "node", process.execPath, ...args],
    ],
    { deadlineMs: 180_000 },
  );
  assert(result.kind === "exited", JSON.stringify(result));
  return result.code === 0 ? { path: result.stdout.trim() } : { error: result.stderr };
}

async function build(...args: readonly string[]): Promise<BuiltImage> {
  return readBuilt(await nixBuild(args));
}

async function readBuilt(result: Awaited<ReturnType<typeof nixBuild>>): Promise<BuiltImage> {
  assert("path" in result, "error" in result ? result.error : "");
  const facts = JSON.parse(await readFile(join(result.path, "image.json"), "utf8"));
  return { ...facts, path: result.path };
}

async function writtenData(onEnd: Ending, text: string): Promise<string> {
  const file = join(await temporaryDirectory(onEnd), "popularity.json");
  await writeFile(file, text);
  return file;
}

describe("an image built without the registry", limit, () => {
  test("has the registry's digest, in every form", async () => {
    const atEnd = endOfFile();
    const house = await startHouse(atEnd, DEBIAN_SET, await temporaryDirectory(atEnd));
    const recipes = [
      ["jq", "zstd", "application/vnd.oci.image.manifest.v1+json"],
      ["shell/git", "zstd", "application/vnd.oci.image.manifest.v1+json"],
      ["curl/htop", "docker", "application/vnd.docker.distribution.manifest.v2+json"],
      // By another name than the set's, and twice.
      ["7zz/0--5f7zz/jq.out", "zstd", "application/vnd.oci.image.manifest.v1+json"],
    ] as const;
    for (const [recipe, form, Accept] of recipes) {
      const name = `${REPOSITORY_PREFIX}${recipe}`;
      const pulled = await house.pull(recipe, { Accept });
      const built = await build(
        ...["--argstr", "name", name, "--argstr", "form", form, "--argstr", "pkgSource", DEBIAN],
      );
      expect(built.digest, recipe).toBe(pulled.digest);
      expect(built.manifest).toStrictEqual(pulled.manifest);
    }
  });

  test("has the registry's digest where the set has no certificates", async () => {
    const set = await realpath(await plantSet(onTestFinished));
    const folder = await realpath(await temporaryDirectory(onTestFinished));
    await writeFile(
      join(folder, "default.nix"),
      `removeAttrs (import ${set}) [ "cacert" "iana-etc" ]`,
    );
    const state = await temporaryDirectory(onTestFinished);
    const house = await startHouse(onTestFinished, folder, state);
    const { digest } = await house.pull("hello");
    const name = `${REPOSITORY_PREFIX}hello`;
    const built = await build("--argstr", "name", name, "--argstr", "pkgSource", `path!${folder}`);
    expect(built.digest).toBe(digest);
  });

  test("has the registry's digest of front words, in a name and in a list of packages", async () => {
    const set = await realpath(await plantFrontSet(onTestFinished));
    const house = await startHouse(onTestFinished, set, await temporaryDirectory(onTestFinished));
    const words = [...Object.keys(NEEDS), ...Object.keys(EXPANSIONS)];
    const components = [...words, "hello", "zlib"];
    const { digest } = await house.pull(components.join("/"));
    const name = `${REPOSITORY_PREFIX}${components.toReversed().slice(2).join("/")}/zlib/hello`;
    const source = ["--argstr", "pkgSource", `path!${set}`];
    expect((await build("--argstr", "name", name, ...source)).digest).toBe(digest);
    const list = JSON.stringify([...words, "zlib", "hello"]);
    const system = REPOSITORY_PREFIX === "" ? "x86_64-linux" : "aarch64-linux";
    const packages = ["--argstr", "packages", list, "--argstr", "system", system];
    expect((await build(...packages, ...source)).digest).toBe(digest);

    const lacking = await temporaryDirectory(onTestFinished);
    await writeFile(join(lacking, "default.nix"), `removeAttrs (import ${set}) [ "zlib" ]`);
    const path = `path!${await realpath(lacking)}`;
    const refused = await nixBuild([
      "--argstr",
      "name",
      "fhs/hello",
      "--argstr",
      "pkgSource",
      path,
    ]);
    expect("error" in refused ? refused.error : "").toMatch(/no package zlib \(needed by fhs\)/);
  });

  test("has the registry's digest of a whole image with Nix in it, by its name", async () => {
    const set = await realpath(await plantSet(onTestFinished));
    const folder = await temporaryDirectory(onTestFinished);
    await mkdir(join(folder, "files"));
    await writeFile(join(folder, "files/page"), "one\n");
    await writeFile(
      join(folder, "default.nix"),
      `let
        set = import ${set};
        nix = set.tools // { meta = set.tools.meta // { mainProgram = "nix"; }; };
      in set // { nixportImages.site = {
        contents = [ "hello" nix ./files ];
        config = { Entrypoint = [ "\${set.sh}/bin/sh" ]; User = "1000"; };
      }; }`,
    );
    await writeFile(join(folder, "popularity.json"), '{ "shared": 4 }');
    const house = await startHouse(
      onTestFinished,
      folder,
      await temporaryDirectory(onTestFinished),
    );
    const pulled = await house.pull("site/hullo");
    const name = ["--argstr", "name", `${REPOSITORY_PREFIX}site/hullo`];
    const built = await build(...name, "--argstr", "pkgSource", `path!${await realpath(folder)}`);
    expect(built.digest).toBe(pulled.digest);
    const listing = await listLayout(built.path);
    const files = ["bin/hello", "bin/hullo", "bin/tool", "bin/sh", "page"];
    for (const path of [...files, "nix/var/nix/db/db.sqlite"]) {
      expect(listing.has(path), path).toBe(true);
    }
  });

  test("has the registry's digest of a set in git that carries popularity data", async () => {
    const repository = await createRepository(onTestFinished);
    await writeFile(join(repository.path, "popularity.json"), '{ "closures of": 60, "shared": 4 }');
    await repository.commit(
      await readFile(join(await plantSet(onTestFinished), "default.nix"), "utf8"),
    );
    const variables = { NIXERY_PKGS_REPO: repository.path };
    const house = await startHouse(
      onTestFinished,
      "/nowhere",
      await temporaryDirectory(onTestFinished),
      variables,
    );
    const pulled = await house.pull("hello/sh");
    const name = ["--argstr", "name", `${REPOSITORY_PREFIX}hello/sh`];
    const source = ["--argstr", "pkgSource", `git!${repository.path}!main`];
    expect((await build(...name, ...source)).digest).toBe(pulled.digest);
    const other = ["--argstr", "popularity", await writtenData(onTestFinished, '{ "shared": 1 }')];
    expect((await build(...name, ...source, ...other)).digest).not.toBe(pulled.digest);
  });

  test("is for the platform its name says, and for one only", async () => {
    const [named, open] = await Promise.all(
      ["amd64/jq", "jq"].map((name) =>
        build("--argstr", "name", name, "--argstr", "pkgSource", DEBIAN),
      ),
    );
    expect(named?.digest).toBe(open?.digest);
    const both = ["--argstr", "name", "amd64/arm64/jq", "--argstr", "pkgSource", DEBIAN];
    const refused = await nixBuild(both);
    expect("error" in refused ? refused.error : "").toMatch(/amd64 and arm64 are two platforms/);
  });

  const skip = missingClient("skopeo");
  test("is an OCI layout that clients copy", skipWhere(skip), async () => {
    const { path } = await build("--argstr", "name", "jq", "--argstr", "pkgSource", DEBIAN);
    const target = await temporaryDirectory(onTestFinished);
    const { code, stderr } = runClient("skopeo", ["copy", `oci:${path}:latest`, `dir:${target}`]);
    expect(code, stderr).toBe(0);
  });

  test("says where each of its blobs lies", async () => {
    const built = await build("--argstr", "name", "jq", "--argstr", "pkgSource", DEBIAN);
    const hexes = built.manifest.layers.map(({ digest }) => digest.slice("sha256:".length));
    for (const hex of hexes) expect(hex in built.layerLocations).toBe(true);
    for (const [hex, { path, md5 }] of Object.entries(built.layerLocations)) {
      const bytes = await readFile(path);
      expect(await digestOf(bytes)).toBe(`sha256:${hex}`);
      expect(createHash("md5").update(bytes).digest("base64")).toBe(md5);
    }
  });
});

/** `build` of jq and what the arguments ask for besides. */
const buildJq = (...args: readonly string[]) =>
  build("--argstr", "name", "jq", "--argstr", "pkgSource", DEBIAN, ...args);

async function configOf(image: BuiltImage): Promise<{
  readonly config: Readonly<Record<string, unknown>>;
  readonly history: readonly { readonly created_by: string }[];
}> {
  const hex = image.manifest.config.digest.slice("sha256:".length);
  return JSON.parse(await readFile(join(image.path, "blobs/sha256", hex), "utf8"));
}

describe("an image is built by a program", limit, () => {
  test("in a folder of its user's alone", async () => {
    const folder = await temporaryDirectory(onTestFinished);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    const node = join(folder, "copy");
    await copyFile(process.execPath, node);
    expect((await buildJq("--argstr", "node", node)).digest).toBe((await buildJq()).digest);
  });

  test("behind a link", skipWhere(hidesHost), async () => {
    const inStore = await nix.run("nix-store", ["--add", process.execPath], { deadlineMs: 60_000 });
    assert(inStore.kind === "exited" && inStore.code === 0, JSON.stringify(inStore));
    const node = join("/tmp", `${basename(await temporaryDirectory(onTestFinished))}-node`);
    await symlink(inStore.stdout.trim(), node);
    onTestFinished(() => rm(node));
    expect((await buildJq("--argstr", "node", node)).digest).toBe((await buildJq()).digest);
  });
});

const noSandbox = process.getuid?.() === 0 ? false : "a sandbox without a daemon needs root";

describe("a sandboxed build", { ...limit, ...skipWhere(noSandbox) }, () => {
  test("gives the digest of one that is not, on a Node outside the store", async () => {
    const sandboxed = await testNix({ env: { NIX_CONFIG: SANDBOXED } });
    // With a name behind its end that nobody had before, nobody has built with it.
    const node = join(await temporaryDirectory(onTestFinished), "node");
    await copyFile(process.execPath, node);
    await appendFile(node, node);
    const source = ["--argstr", "name", "jq", "--argstr", "pkgSource", DEBIAN];
    const commands = ["--argstr", "extraCommands", "jq -n '[1]' > one"];
    for (const more of [[], commands]) {
      const open = await build(...source, ...more);
      const args = [...source, ...more, "--argstr", "node", node];
      const built = await readBuilt(await nixBuild(args, sandboxed));
      expect(built.path).not.toBe(open.path);
      expect(built.digest).toBe(open.digest);
    }
  });
});

describe("extraCommands", limit, () => {
  test("make the top layer, with their modes and the owner asked for", async () => {
    const commands = `
      mkdir -p var/log/app; chmod 1777 var/log/app
      jq --null-input '{ made: true }' > app.json; chmod 640 app.json
      ln -s app.json link; mkdir $'not utf-8 \\xff'
      mkdir closed; echo > closed/shadow; chmod 0 closed/shadow closed
    `;
    const image = await buildJq(
      ...["--argstr", "extraCommands", commands, "--arg", "uid", "1000", "--arg", "gid", "100"],
    );
    const listing = await listLayout(image.path);
    const shown = (path: string) => {
      const entry = listing.get(path);
      return entry && `${entry.type} ${entry.mode.toString(8)} ${entry.owner}`;
    };
    expect(shown("var/log/app")).toBe("directory 1777 1000:100");
    expect(shown("app.json")).toBe("file 640 1000:100");
    expect(shown("closed")).toBe("directory 0 1000:100");
    expect(shown("closed/shadow")).toBe("file 0 1000:100");
    expect(listing.get("link")?.content).toBe("app.json");
    expect(listing.get("app.json")?.mtimeSeconds).toBe(1);
    expect([...listing.keys()].some((path) => path.startsWith("not utf-8"))).toBe(true);
    expect(listing.get("bin/jq")?.owner).toBe("0:0");
    const { history } = await configOf(image);
    expect(history.at(-1)?.created_by).toBe("nixport extra commands");
  });

  test("leave all other layers as they are", async () => {
    const plain = await buildJq();
    const extra = await buildJq("--argstr", "extraCommands", "echo 1 > one");
    expect(extra.manifest.layers.slice(0, -1)).toStrictEqual(plain.manifest.layers);
  });

  const failures: readonly [string, string, RegExp][] = [
    ["a command that fails", "echo no such thing >&2; false", /ended with 1: no such thing/],
    ["a socket or its like", "mkfifo pipe", /pipe is no file, directory or symbolic link/],
    [
      "more than a layer is made for",
      "truncate --size 300M big",
      /big goes beyond 268435456 bytes/,
    ],
    ["a name that deletes", "echo > .wh.etc", /\.wh\.etc has a name that layers reserve/],
  ];
  test.for(failures)("end the build with %s", async ([, commands, pattern]) => {
    const args = ["--argstr", "name", "jq", "--argstr", "pkgSource", DEBIAN];
    const result = await nixBuild([...args, "--argstr", "extraCommands", commands]);
    expect("error" in result ? result.error : "built").toMatch(pattern);
  });
});

describe("an image of one's own", limit, () => {
  test("has the config that is given, over what every image has", async () => {
    const image = await buildJq(
      ...[
        "--arg",
        "config",
        '{ Entrypoint = [ "/bin/jq" ]; Env = [ "A=1" "HOME=/tmp" ]; User = "1000"; }',
      ],
    );
    const { config } = await configOf(image);
    expect(config.Entrypoint).toStrictEqual(["/bin/jq"]);
    expect(config.Cmd).toBeUndefined();
    expect(config.User).toBe("1000");
    expect(config.Env).toStrictEqual([
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt",
      "LANG=C.UTF-8",
      "A=1",
      "HOME=/tmp",
    ]);
  });

  test("holds contents besides packages: derivations, names, files", async () => {
    const folder = await temporaryDirectory(onTestFinished);
    await mkdir(join(folder, "etc"));
    await writeFile(join(folder, "etc/app.conf"), "one=1\n");
    const contents = `[ (import ${DEBIAN.slice("path!".length)} { }).nano "curl" ${folder} ]`;
    const listing = await listLayout((await buildJq("--arg", "contents", contents)).path);
    for (const path of ["bin/jq", "bin/nano", "bin/curl", "etc/app.conf"]) {
      expect(listing.has(path), path).toBe(true);
    }
  });

  test("holds what its config names", async () => {
    const config = `let set = import ${DEBIAN.slice("path!".length)} { }; in {
      Cmd = [ "\${set.nano}/bin/nano" (builtins.toFile "nanorc" "set nowrap") ]; }`;
    const image = await buildJq("--arg", "config", config);
    const { config: run } = await configOf(image);
    const listing = await listLayout(image.path);
    for (const path of run.Cmd as readonly string[])
      expect(listing.has(path.slice(1)), path).toBe(true);
  });

  test("has no more layers than it may", async () => {
    const name = ["--argstr", "name", "git/python3/curl", "--argstr", "pkgSource", DEBIAN];
    const fine = await build(...name);
    const most = fine.manifest.layers.length - 3;
    const coarse = await build(...name, "--arg", "maxLayers", String(most));
    expect(coarse.manifest.layers.length, `${coarse.manifest.layers.length}`).toBeLessThanOrEqual(
      most,
    );
    const files = async ({ path }: BuiltImage) => [...(await listLayout(path))].sort();
    expect(await files(coarse)).toStrictEqual(await files(fine));
  });

  const refusals: readonly [string, readonly string[], RegExp][] = [
    [
      "a missing package",
      ["--argstr", "name", "jqq"],
      /nixport: no package jqq \(did you mean jq\?\)/,
    ],
    ["a misplaced shell", ["--argstr", "name", "jq/shell"], /stands only in front: shell\/jq/],
    ["a wrong config", ["--arg", "config", "{ Cmd = 1; }"], /the image\.config: Cmd: /],
    ["a config of no such field", ["--arg", "config", "{ cmd = [ ]; }"], /config: cmd: /],
    ["more layers than clients mount", ["--arg", "maxLayers", "126"], /maxLayers: /],
    [
      "too few layers",
      ["--argstr", "name", "git/jq", "--arg", "maxLayers", "3"],
      /layers at least, and maxLayers is 3/,
    ],
    ["no such form", ["--argstr", "form", "tar"], /form is "tar": zstd, gzip or docker/],
    ["no such source", ["--argstr", "pkgSource", "svn!x"], /pkgSource is "svn!x": nixpkgs!/],
    ["no such system", ["--argstr", "system", "i686-linux"], /no images for i686-linux/],
  ];
  test.for(refusals)("is refused with %s", async ([, args, pattern]) => {
    const source = args.includes("pkgSource") ? [] : ["--argstr", "pkgSource", DEBIAN];
    const result = await nixBuild([...source, ...args]);
    expect("error" in result ? result.error : "built").toMatch(pattern);
  });
});
