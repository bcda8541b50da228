// Which files import which, and the circles of it. Types count like anything else: a circle of types
// alone runs, but none of its files can be understood before the others.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** What a checkout holds besides what is the project's: installed, generated, or git's own. */
const NOT_OURS = new Set(["node_modules", ".git", ".nixport", ".wrangler", "dist"]);

export const PRODUCT = ["registry", "page", "edge", "origin", "nix"] as const;

/** From the repository's root on. */
export function filesBelow(folder: string): readonly string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (NOT_OURS.has(entry.name)) return [];
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() && !path.endsWith(".tsbuildinfo") ? [path] : [];
  });
}

export function isScript(path: string): boolean {
  return /\.[cm]?[jt]s$/.test(path);
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}

/** Every module a file names: from the repository's root on, or a package or `node:` module. */
export function importsOf(path: string, text = read(path)): readonly string[] {
  const found = withoutComments(text).matchAll(
    /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+|\brequire\s*\(\s*)(["'])([^"'\n]+)\1/g,
  );
  return [...found].map(([, , specifier = ""]) =>
    specifier.startsWith(".") ? relative(ROOT, join(ROOT, dirname(path), specifier)) : specifier,
  );
}

export type Graph = ReadonlyMap<string, readonly string[]>;

export function graphOf(folders: readonly string[]): Graph {
  const files = folders.flatMap(filesBelow).filter(isScript);
  return new Map(files.map((path) => [path, importsOf(path)]));
}

/** The same of the folders that the files lie in. */
export function roomsOf(graph: Graph): Graph {
  const rooms = new Map<string, string[]>();
  for (const [path, imported] of graph) {
    const room = dirname(path);
    const others = imported.filter((other) => graph.has(other)).map(dirname);
    rooms.set(room, (rooms.get(room) ?? []).concat(others.filter((other) => other !== room)));
  }
  return rooms;
}

/** One circle through each arrow that closes one, as the path that it is. */
export function circlesOf(graph: Graph): readonly string[] {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (node: string, above: readonly string[]): void => {
    const place = above.indexOf(node);
    if (place !== -1) circles.push([...above.slice(place), node].join(" → "));
    if (place !== -1 || done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...above, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return circles;
}
