// A newer Nix as one store path that needs no other, for the binary cache to have: Debian trixie's
// package with the libraries it needs, which apt fetches once and the state keeps.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { statePathOf } from "../../origin/command/local-environment.ts";
import { file, folderOf, type NarTree, readTree } from "./nar.ts";

const SUITE = "trixie";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const [ARCHITECTURE, TRIPLET, LOADER] =
  process.arch === "arm64"
    ? ["arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"]
    : ["amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"];
const PROGRAMS = ["nix", "nix-build", "nix-instantiate", "nix-store"];
const run = promisify(execFile);

/** What the cache serves as a Nix, whatever version its name says. */
export async function newerNix(): Promise<NarTree> {
  const root = await unpacked();
  const libraries = join(root, "usr/lib", TRIPLET);
  const names = (await readdir(libraries)).filter((name) => /\.so(?:\.|$)/.test(name));
  return folderOf({
    ...Object.fromEntries(PROGRAMS.map((name) => [`bin/${name}`, file(START, true)])),
    "libexec/nix": readTree(join(root, "usr/bin/nix")),
    ...Object.fromEntries(names.map((name) => [`lib/${name}`, readTree(join(libraries, name))])),
  });
}

/** With its own loader and C library, since the machine's may be older than it was made for. */
const START = `#!/bin/sh
here=\${0%/bin/*}
exec "$here/lib/${LOADER}" --argv0 "$0" --library-path "$here/lib" "$here/libexec/nix" "$@"
`;

async function unpacked(): Promise<string> {
  const path = join(statePathOf(process.env), `test-nix-${SUITE}-${ARCHITECTURE}`);
  if (existsSync(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  const work = await mkdtemp(`${path}.`);
  try {
    // apt downloads as a user of its own.
    await chmod(work, 0o755);
    const root = join(work, "root");
    for (const deb of await download(work)) await run("dpkg-deb", ["-x", deb, root]);
    await rename(root, path);
  } catch (error) {
    // Another process of tests was faster.
    if (!existsSync(path)) throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return path;
}

/** With all it depends on, as on a machine that has nothing. */
async function download(work: string): Promise<readonly string[]> {
  const archives = join(work, "cache/archives");
  for (const folder of [join(work, "state/lists/partial"), join(archives, "partial")]) {
    await mkdir(folder, { recursive: true });
  }
  const sources = join(work, "sources.list");
  const options = `[signed-by=${KEYRING} target=Packages lang=none]`;
  await writeFile(sources, `deb ${options} ${await archiveUrl()} ${SUITE} main\n`);
  const settings = [
    ...[`Dir::State=${join(work, "state")}`, "Dir::State::status=/dev/null"],
    ...[`Dir::Cache=${join(work, "cache")}`, `Dir::Etc::sourcelist=${sources}`],
    ...["Dir::Etc::sourceparts=-", "APT::Update::Error-Mode=any"],
  ].flatMap((setting) => ["-o", setting]);
  await run("apt-get", ["-qq", ...settings, "update"]);
  const install = ["--no-install-recommends", "--download-only", "--yes", "install", "nix-bin"];
  await run("apt-get", ["-qq", ...settings, ...install]);
  const names = await readdir(archives);
  return names.filter((name) => name.endsWith(".deb")).map((name) => join(archives, name));
}

/** The archive of Debian's that this machine's apt follows has the other suites too. */
async function archiveUrl(): Promise<string> {
  const format = ["--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"];
  const { stdout } = await run("apt-get", ["indextargets", ...format]);
  const url = /^Debian main (\S+)$/m.exec(stdout)?.[1];
  if (url === undefined) throw new Error("apt follows no archive of Debian: apt-get update");
  return url;
}
