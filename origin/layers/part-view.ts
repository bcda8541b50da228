// The view of a part: those of its outputs as overlay would merge them; below them modules that these need,
// and in the ground of an image the files that no package brings.

import { outputsBrought, type Part } from "../../registry/image/part.ts";
import { type LocaleFacts, WELL_KNOWN_PATHS } from "../../registry/image/record.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { BASE_ENTRIES } from "./base.ts";
import type { ByteString } from "./byte-string.ts";
import { openClosure } from "./closure-files.ts";
import type { ArchiveEntry } from "./entries.ts";
import { readLoaders } from "./loaders.ts";
import { readModules } from "./modules.ts";
import { type PackageView, readView, type ViewResult } from "./view.ts";

/** Looks at the outputs as they are in the store. `closure` holds them too, and what they need. */
export function readPartView(
  part: Part,
  closure: readonly StorePath[],
  storeDirectory: string,
): ViewResult {
  const { kind } = part;
  const outputs = outputsBrought(part);
  const views: PackageView[] = [];
  for (const output of outputs) {
    const result = readView(output, closure, storeDirectory);
    if (result.kind === "unfit") return result;
    views.push(result.view);
  }
  const files = openClosure(closure, storeDirectory);
  const loaders = kind === "fhs" ? readLoaders(outputs, files) : [];
  if (typeof loaders === "string") return { kind: "unfit", reason: loaders };
  const shown = views.flatMap(({ entries }) => (entries === null ? [] : [entries]));
  const modules = readModules(files, outputs, shown.flat());
  const below = [...modules.entries, ...(kind === "ground" ? [BASE_ENTRIES] : [])];
  const [only] = views;
  if (only !== undefined && views.length === 1 && kind === "package" && below.length === 0)
    return { kind: "view", view: { ...only, modules: modules.kinds } };

  const entries = overlay([...shown, ...below]);
  const provides = [...new Set(views.flatMap((view) => view.provides))];
  const fallbacks = WELL_KNOWN_PATHS.flatMap((path) => {
    if (provides.includes(path)) return [];
    const offered = views.flatMap((view) => view.fallbacks);
    return offered.find((fallback) => fallback.path === path) ?? [];
  });
  const program = views.find((view) => view.program !== null)?.program ?? null;
  const is = (fact: keyof LocaleFacts) => views.some(({ locale }) => locale[fact]);
  const locale = {
    hasUtf8: is("hasUtf8"),
    hasZones: is("hasZones"),
    looksElsewhereForZones: is("looksElsewhereForZones"),
  };
  const shownEntries = entries.length === 0 ? null : entries;
  const facts = { provides, fallbacks, above: loaders, program, locale, modules: modules.kinds };
  return { kind: "view", view: { entries: shownEntries, ...facts } };
}

/**
 * Directories merge; of all else the first has the path to itself, and a directory that meets another
 * kind is hidden with all it holds, or hides it.
 */
function overlay(views: readonly (readonly ArchiveEntry[])[]): readonly ArchiveEntry[] {
  const merged = new Map<ByteString, ArchiveEntry>();
  for (const entries of views) {
    const above = new Map(merged);
    for (const entry of entries) {
      if (!above.has(entry.path) && !isHidden(entry.path, above)) merged.set(entry.path, entry);
    }
  }
  return [...merged.values()];
}

/** Whether something that is no directory stands where one of the path's parents would. */
function isHidden(path: ByteString, above: ReadonlyMap<ByteString, ArchiveEntry>): boolean {
  for (let cut = path.lastIndexOf("/"); cut > 0; cut = path.lastIndexOf("/", cut - 1)) {
    const parent = above.get(path.slice(0, cut));
    if (parent !== undefined && parent.kind !== "directory") return true;
  }
  return false;
}
