// The operator's configuration of nixpkgs, which decides what a package set offers at all: unfree,
// broken and insecure packages are refused without it. It is part of every pin, since the same
// revision says other things under another configuration.

import { createHash } from "node:crypto";
import { parseJson } from "../../registry/http/json.ts";

/** Given to the package set as its argument `config`. */
export type NixpkgsConfig = { readonly [setting: string]: Json };

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** It travels in an argument, of which Linux takes 128 KiB. */
const MAX_CONFIG_CHARACTERS = 16 * 1024;

export function parseNixpkgsConfig(text: string): NixpkgsConfig | undefined {
  if (text.length > MAX_CONFIG_CHARACTERS) return undefined;
  const json = parseJson(text);
  const isObject = typeof json === "object" && json !== null && !Array.isArray(json);
  return isObject ? (json as NixpkgsConfig) : undefined;
}

/**
 * "" for no configuration, else 16 hex digits; the order in which settings are written is nothing.
 */
export function configId(config: NixpkgsConfig): string {
  if (Object.keys(config).length === 0) return "";
  return createHash("sha256")
    .update(JSON.stringify(sorted(config)))
    .digest("hex")
    .slice(0, 16);
}

function sorted(json: Json): unknown {
  if (Array.isArray(json)) return json.map(sorted);
  if (typeof json !== "object" || json === null) return json;
  const entries = Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, value]) => [key, sorted(value)]));
}
