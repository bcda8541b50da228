// Keeps store paths alive while something reads them. Each holder has a directory of its own below
// one that is the origin's; a directory left behind by a crash is removed at the next start.

import { mkdir, mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { join } from "node:path";

const PREFIX = "held-";

export interface GcRoots {
  /** A new place for `--add-root`; Nix adds suffixes to it. */
  readonly place: (name: string) => string;
  /** The store paths that are rooted. */
  readonly targets: () => Promise<ReadonlySet<string>>;
  readonly release: () => Promise<void>;
}

export async function openRoots(rootsDir: string): Promise<GcRoots> {
  await mkdir(rootsDir, { recursive: true });
  const dir = await mkdtemp(join(rootsDir, PREFIX));
  return {
    place: (name) => join(dir, name),
    targets: async () => {
      const links = await readdir(dir);
      return new Set(await Promise.all(links.map((link) => readlink(join(dir, link)))));
    },
    // Nix's own link to ours dangles from then on; the next collection removes it.
    release: () => rm(dir, { recursive: true, force: true }),
  };
}

/** For a start, when nothing of this origin is running yet. */
export async function clearRoots(rootsDir: string): Promise<void> {
  await mkdir(rootsDir, { recursive: true });
  for (const name of await readdir(rootsDir)) {
    if (name.startsWith(PREFIX)) await rm(join(rootsDir, name), { recursive: true, force: true });
  }
}
