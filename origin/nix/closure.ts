// The closure graph of store paths, as Nix knows it: from its database, or else from one process
// however many roots there are.

import * as v from "valibot";
import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";
import type { ValidClosure } from "../layers/closure.ts";
import { parseNarHash } from "./nar-hash.ts";
import { evaluationMessage } from "./nix-error.ts";
import { NixFailed } from "./nix-failed.ts";
import type { NixTool } from "./nix-tool.ts";
import { readClosure, type StoreObject } from "./store-database.ts";

const QUERY_DEADLINE_MS = 60_000;

/**
 * Every path of the closure once, in bytewise order; of derivations, everything they are built
 * with, which may not be mixed with others. The paths must be valid; keep them rooted, or a garbage
 * collection may come in between.
 */
export async function queryClosure(
  nix: NixTool,
  paths: readonly StorePath[],
  signal?: AbortSignal,
): Promise<ValidClosure> {
  if (paths.length === 0) return [];
  const read = nix.database === undefined ? undefined : readClosure(nix.database, paths);
  if (read !== undefined) return toGraph(read);
  // Without the option Nix takes a derivation for its outputs, and with it an output for its
  // deriver.
  const derivations = paths.every((path) => path.endsWith(".drv")) ? ["--derivation"] : [];
  const result = await nix.run(
    "nix",
    [
      ...["path-info", "--json", "--recursive", ...derivations],
      ...["--extra-experimental-features", "nix-command", "--", ...paths],
    ],
    { deadlineMs: QUERY_DEADLINE_MS, ...(signal === undefined ? {} : { signal }) },
  );
  if (result.kind === "exited" && result.code === 0) return parseClosure(JSON.parse(result.stdout));
  signal?.throwIfAborted();
  const why = result.kind === "exited" ? evaluationMessage(result.stderr) : result.kind;
  throw new NixFailed(`nix path-info failed: ${why}`);
}

const storeObject = v.object({
  narHash: v.optional(v.unknown()),
  narSize: v.number(),
  references: v.array(v.string()),
});

const byPath = v.pipe(
  v.record(v.string(), storeObject),
  v.transform((objects) => Object.entries(objects).map(([path, object]) => ({ path, ...object }))),
);

// 2.8 gives an array. From 2.19 on it is an object keyed by path, and in the second version of that
// format the map lies one level deeper and its paths have lost their store directory.
const pathInfo = v.union([
  v.array(v.object({ path: v.string(), ...storeObject.entries })),
  v.pipe(
    v.object({ info: byPath }),
    v.transform(({ info }) => info),
  ),
  byPath,
]);

export function parseClosure(json: unknown): ValidClosure {
  return toGraph(v.parse(pathInfo, json));
}

function toGraph(objects: readonly StoreObject[]): ValidClosure {
  return objects
    .map(({ path: text, narHash, narSize, references }) => {
      const path = storePathOf(text);
      const all = references.map(storePathOf);
      return {
        ...{ path, narHash: parseNarHash(narHash), narSizeBytes: narSize },
        references: all.filter((reference) => reference !== path).sort(bytewise),
        refersToItself: all.includes(path),
      };
    })
    .sort((a, b) => bytewise(a.path, b.path));
}

function storePathOf(text: string): StorePath {
  const path = parseStorePath(text.startsWith("/") ? text : `/nix/store/${text}`);
  if (path === undefined) throw new Error(`not a store path: ${text}`);
  return path;
}

// Store paths are ASCII, so the order of code units is the order of bytes.
function bytewise(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
