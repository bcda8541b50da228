// A small apt index and the tables that go with it, for tests of the generator's pure parts.

import { type AptIndex, indexOf } from "../../../nix/debian/apt-index.ts";
import type { RootRow, Tables } from "../../../nix/debian/packages.ts";

export const BASE_URL = "http://archive.invalid/debian/";

export function stanza(name: string, fields: Readonly<Record<string, string>> = {}): string {
  const version = fields.Version ?? "1.0-1";
  const all = {
    Package: name,
    Version: version,
    "Installed-Size": "10",
    Description: `${name}, a fixture`,
    Filename: `pool/main/${name}_${version}_amd64.deb`,
    Size: "1000",
    SHA256: "0".repeat(64),
    ...fields,
  };
  return Object.entries(all)
    .map(([key, value]) => `${key}: ${value}`)
    .join("\n");
}

export function index(...stanzas: readonly string[]): AptIndex {
  return indexOf([{ baseUrl: BASE_URL, text: `${stanzas.join("\n\n")}\n\n` }]);
}

// The shell is always a root, as in the real table.
export function tables(roots: readonly string[], changes: Partial<Tables> = {}): Tables {
  return {
    roots: ["bash", ...roots].map((name): RootRow => [name, name, undefined]),
    groups: [],
    copies: {},
    moduleFamilies: [],
    skipped: [],
    extraDependencies: {},
    droppedDependencies: {},
    withoutShell: [],
    shell: "bash",
    ...changes,
  };
}
