// The root folder of a machine that is laid out as NixOS is: programs in the store only, with a loader of
// their own there, found by links in /run/current-system; no /lib64, and of /usr and /bin nothing but
// `env` and `sh`. Its programs are Debian's, made to look for their libraries in the store.

import { chmod, copyFile, mkdir, realpath, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { run } from "../e2e/daemon.ts";
import { USER } from "./debian-root.ts";

const PROGRAMS = ["bash", "env", "nix", "setpriv"];
const NIX_LINKS = ["nix-build", "nix-daemon", "nix-instantiate", "nix-store"];
const CARRIED_NODE = join(import.meta.dirname, "../../node_modules/.bin/node");
const BUILD_USERS = [31_001, 31_002, 31_003, 31_004];

/** Fills an empty folder with what the Debian root has. */
export async function layOutNixos(debian: string, root: string): Promise<void> {
  for (const folder of ["bin", "etc/nix", "home", "proc", "root", "run", "srv", "usr/bin"]) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await mkdir(join(root, "tmp"));
  await chmod(join(root, "tmp"), 0o1777);
  const work = join(root, "work");
  const libraries = await addLibraries(debian, root, join(work, "libraries"));
  const programs = await addPrograms(debian, root, join(work, "programs"), libraries);
  await run("rm", ["-r", work]);
  await mkdir(join(root, "run/current-system"));
  await symlink(programs, join(root, "run/current-system/sw"));
  await symlink(`${programs}/bin/sh`, join(root, "bin/sh"));
  await symlink(`${programs}/bin/env`, join(root, "usr/bin/env"));
  await writeUsers(root);
  await writeFile(
    join(root, "etc/nix/nix.conf"),
    `sandbox = true
sandbox-fallback = false
sandbox-paths = /bin/sh=${programs}/bin/bash ${libraries}
substituters =
`,
  );
}

/** With the loader: all that the programs need, by name in one folder. */
async function addLibraries(debian: string, root: string, work: string): Promise<string> {
  await mkdir(work, { recursive: true });
  const paths = new Set<string>();
  for (const program of PROGRAMS) await collect(debian, `/usr/bin/${program}`, paths);
  // Node's own, which are on every Debian.
  const folder = "/usr/lib/x86_64-linux-gnu";
  for (const name of ["libdl.so.2", "libpthread.so.0", "libstdc++.so.6", "libm.so.6"]) {
    paths.add(join(folder.replace("x86_64", MACHINE), name));
  }
  for (const path of paths) {
    const copy = join(work, basename(path));
    await copyFile(await realpath(join(debian, path)), copy);
    await chmod(copy, 0o755);
    // Theirs goes before that of the program that loads them.
    await run("patchelf", ["--remove-rpath", copy]);
  }
  return await add(root, work);
}

const MACHINE = process.arch === "arm64" ? "aarch64" : "x86_64";
const LOADER = process.arch === "arm64" ? "ld-linux-aarch64.so.1" : "ld-linux-x86-64.so.2";

async function collect(debian: string, program: string, paths: Set<string>): Promise<void> {
  const listing = await run("chroot", [debian, "ldd", program]);
  for (const [, path] of listing.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)) {
    if (path !== undefined) paths.add(path);
  }
}

async function addPrograms(
  debian: string,
  root: string,
  work: string,
  libraries: string,
): Promise<string> {
  const bin = join(work, "bin");
  await mkdir(bin, { recursive: true });
  const sources = PROGRAMS.map((name) => [name, join(debian, "usr/bin", name)] as const);
  for (const [name, source] of [...sources, ["node", CARRIED_NODE] as const]) {
    const copy = join(bin, name);
    await copyFile(source, copy);
    await chmod(copy, 0o755);
    // The old kind of path counts for the libraries' own libraries as well.
    const search = ["--force-rpath", "--set-rpath", libraries];
    // In this order, one by one: patchelf 0.18 makes segments overlap otherwise.
    await run("patchelf", [...search, copy]);
    await run("patchelf", ["--set-interpreter", `${libraries}/${LOADER}`, copy]);
  }
  for (const name of NIX_LINKS) await symlink("nix", join(bin, name));
  await symlink("bash", join(bin, "sh"));
  return await add(root, work);
}

/** To the store below the root, by this machine's Nix. */
async function add(root: string, path: string): Promise<string> {
  const env = { NIX_REMOTE: `local?root=${root}`, NIX_CONFIG: "substituters =" };
  return (await run("nix-store", ["--add", path], env)).trim();
}

async function writeUsers(root: string): Promise<void> {
  const { name, id } = USER;
  const builders = BUILD_USERS.map((uid, index) => [`nixbld${index + 1}`, uid] as const);
  const users = [
    ["root", 0, 0, "/root"],
    [name, id, id, `/home/${name}`],
    ...builders.map(([builder, uid]) => [builder, uid, 31_000, "/var/empty"] as const),
  ].map(([user, uid, gid, home]) => `${user}:x:${uid}:${gid}::${home}:/bin/sh\n`);
  const members = builders.map(([builder]) => builder).join(",");
  const groups = ["root:x:0:", `${name}:x:${id}:`, `nixbld:x:31000:${members}`];
  await writeFile(join(root, "etc/passwd"), users.join(""));
  await writeFile(join(root, "etc/group"), `${groups.join("\n")}\n`);
  await run("install", ["-d", "-o", String(id), "-g", String(id), join(root, "home", name)]);
}
