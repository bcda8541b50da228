// Puts the generated folder in its place: the Nix files of this folder and what was generated.

import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

const COPIED = ["default.nix", "unpack.sh", "fixups"];

// Answers whether anything changed. A reader never sees a folder half written: it is made beside
// its place and renamed. A folder cannot be renamed over a full one, so for an instant there is
// none.
export async function writeSetFolder(
  outDir: string,
  generated: Readonly<Record<string, string>>,
): Promise<boolean> {
  await mkdir(dirname(outDir), { recursive: true });
  const work = await mkdtemp(`${outDir}.new-`);
  try {
    const fresh = join(work, "set");
    await mkdir(fresh);
    for (const name of COPIED) {
      await cp(join(import.meta.dirname, name), join(fresh, name), { recursive: true });
    }
    for (const [name, text] of Object.entries(generated)) await writeFile(join(fresh, name), text);
    if ((await contentOf(outDir)) === (await contentOf(fresh))) return false;
    await rename(outDir, join(work, "old")).catch((error: unknown) => {
      if (!isAbsent(error)) throw error;
    });
    await rename(fresh, outDir);
    return true;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function contentOf(folder: string): Promise<string | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: unknown) => {
      if (isAbsent(error)) return undefined;
      throw error;
    },
  );
  if (entries === undefined) return undefined;
  const files = entries.filter((entry) => !entry.isDirectory());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  const texts = await Promise.all(
    paths.map(async (path) => [path.slice(folder.length), await readFile(path, "utf8")]),
  );
  return JSON.stringify(texts);
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
