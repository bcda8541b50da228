// What nixpkgs says where it refuses a package, in both of its wordings: the last resort for one that
// a package needs, of which only this message tells.

import { linesOf } from "./nix-error.ts";

/** In the manner of LookupFailure, without what only the asker knows. */
export type RefusedPackage = { readonly name: string } & (
  | { readonly kind: "unfree"; readonly licenses: readonly string[] }
  | { readonly kind: "broken" }
  | { readonly kind: "insecure"; readonly vulnerabilities: readonly string[] }
  | { readonly kind: "unsupported" }
);

/** To the middle of 2025, and since then. The place may have spaces, and ends with the line. */
const REFUSALS = [
  /Package ‘(?<name>[^’\n]+)’ in .*? (?<reason>(?:has|is) .*)/,
  /Refusing to evaluate package '(?<name>[^'\n]+)' in .*? because it (?<reason>.*)/,
];
const MAX_LIST_LINES = 20;

export function readRefusal(stderr: string): RefusedPackage | undefined {
  const lines = linesOf(stderr);
  // A trace may say it too, with less.
  const start = lines.findLastIndex((line) => REFUSALS.some((pattern) => pattern.test(line)));
  const line = lines[start] ?? "";
  const said = REFUSALS.map((pattern) => pattern.exec(line)?.groups).find((each) => each);
  const { name, reason = "" } = said ?? {};
  if (name === undefined) return undefined;
  const list = () => listIn(lines.slice(start + 1));
  const licenses = /^has an unfree license \(‘(.*)’\)/.exec(reason)?.[1];
  if (licenses !== undefined) {
    return { name, kind: "unfree", licenses: licenses.split(/[\s,]+/).filter(Boolean) };
  }
  if (/^is marked as broken\b/.test(reason)) return { name, kind: "broken" };
  if (/^is marked as insecure\b/.test(reason)) {
    return { name, kind: "insecure", vulnerabilities: list() };
  }
  if (/^is not available on the requested hostPlatform\b/.test(reason)) {
    return { name, kind: "unsupported" };
  }
  // As of late a list, of which anything but this has no setting of its own.
  const isBroken = /^has problems:/.test(reason) && list().some((each) => /^broken:/.test(each));
  return isBroken ? { name, kind: "broken" } : undefined;
}

/** The first list below, such as that of known issues. */
function listIn(lines: readonly string[]): readonly string[] {
  const isItem = (line: string | undefined) => /^\s*- \S/.test(line ?? "");
  const start = lines.slice(0, MAX_LIST_LINES).findIndex(isItem);
  if (start < 0) return [];
  const items = lines.slice(start, start + MAX_LIST_LINES);
  const end = items.findIndex((line) => !isItem(line));
  return items.slice(0, end < 0 ? undefined : end).map((line) => line.replace(/^\s*- /, "").trim());
}
