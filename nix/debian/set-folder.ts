// Puts the generated folder in its place: the Nix files of this folder and what was generated.

import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

const COPIED = ["default.nix", "tools.sh", "unpack.sh", "elf.pl", "repoint.pl", "fixups"];

// How often others that start at the same time may come in between.
const MAX_ATTEMPTS = 20;

// Answers whether anything changed. A reader never sees a folder half written: it is made beside
// its place and renamed. A folder cannot be renamed over a full one, so for an instant there is
// none.
export async function writeSetFolder(
  outDir: string,
  generated: Readonly<Record<string, string | Uint8Array>>,
): Promise<boolean> {
  await mkdir(dirname(outDir), { recursive: true });
  const work = await mkdtemp(`${outDir}.new-`);
  try {
    const fresh = join(work, "set");
    await mkdir(fresh);
    for (const name of COPIED) {
      await cp(join(import.meta.dirname, name), join(fresh, name), { recursive: true });
    }
    for (const [name, content] of Object.entries(generated)) {
      // What is no text is a program.
      const mode = typeof content === "string" ? 0o644 : 0o755;
      await mkdir(dirname(join(fresh, name)), { recursive: true });
      await writeFile(join(fresh, name), content, { mode });
    }
    const content = await contentOf(fresh);
    for (let attempt = 1; ; attempt += 1) {
      try {
        if ((await contentOf(outDir)) === content) return false;
        await replace(outDir, fresh, join(work, `old-${attempt}`));
        return true;
      } catch (error) {
        // Another start has taken the folder away, or put its own there, since it was looked at.
        const isOthers = hasCode(error, "ENOENT", "ENOTEMPTY", "EEXIST");
        if (!isOthers || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function replace(outDir: string, fresh: string, old: string): Promise<void> {
  await rename(outDir, old).catch((error: unknown) => {
    if (!hasCode(error, "ENOENT")) throw error;
  });
  await rename(fresh, outDir);
}

async function contentOf(folder: string): Promise<string | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: unknown) => {
      if (hasCode(error, "ENOENT")) return undefined;
      throw error;
    },
  );
  if (entries === undefined) return undefined;
  const files = entries.filter((entry) => !entry.isDirectory());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  const texts = await Promise.all(
    paths.map(async (path) => [path.slice(folder.length), await readFile(path, "latin1")]),
  );
  return JSON.stringify(texts);
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
