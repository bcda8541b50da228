// The examples of pages as tests take them: those of docs/recipes.md by name, with a registry that is there in
// place of the one they are written for.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const DOCS = fileURLToPath(new URL("../../docs", import.meta.url));
/** The one that the page is written for. */
export const REGISTRY = "registry.example.org";

/** Below which heading it stands, in which language. */
export type Place = readonly [heading: string, language: string];

export const EXAMPLES = {
  actions: ["GitHub Actions", "yaml"],
  gitlab: ["GitLab CI", "yaml"],
  debug: ["kubectl debug", ""],
  pod: ["Tools in a Pod, as an image volume", "yaml"],
  devcontainer: ["Dev containers", "json"],
  onTop: ["An image of your own on top", "dockerfile"],
  copied: ["Tools copied into another image", "dockerfile"],
  bundleInSet: ["Certificates of your own", "nix"],
  bundleOnTop: ["Certificates of your own", "dockerfile"],
  bundleMounted: ["Certificates of your own", ""],
  insecureDocker: ["A registry without TLS", "json"],
  insecurePodman: ["A registry without TLS", "toml"],
  insecureContainerd: ["A registry without TLS", "toml"],
  nginx: ["TLS in front", "nginx"],
  prune: ["Pruning", ""],
} as const satisfies Readonly<Record<string, Place>>;

export interface Block {
  readonly place: Place;
  readonly text: string;
}

/** Every block of code of a page, in its order. */
export function blocksOf(page: string): readonly Block[] {
  const sections = readFileSync(join(DOCS, page), "utf8").split(/^## /m).slice(1);
  return sections.flatMap((section) => {
    const heading = section.slice(0, section.indexOf("\n"));
    return [...section.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(
      ([, language = "", text = ""]): Block => ({ place: [heading, language], text }),
    );
  });
}

/** Those of one place are told apart by their order, which is that of their names. */
export function example(name: keyof typeof EXAMPLES, registry: string): string {
  const index = Object.keys(EXAMPLES).indexOf(name);
  const block = blocksOf("recipes.md")[index];
  if (block === undefined) throw new Error(`docs/recipes.md has no example ${name}`);
  return block.text.replaceAll(REGISTRY, registry);
}

/** The part of an example that a pattern captures. */
export function take(text: string, pattern: RegExp): string {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`no ${pattern} in:\n${text}`);
  return found;
}
