// Layers that the storage lost: made again of what they were made of, and served only if they are the
// same to the byte.

import type { LayerRecord } from "../../registry/image/record.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { queryClosure } from "../nix/closure.ts";
import type { Hindrance, NotBuilt } from "../nix/hindrance.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { Demand } from "../waiting/demand.ts";
import { joinBatches } from "../waiting/join.ts";
import type { HeldPaths, NotTried } from "./held-paths.ts";
import type { Making, PackedLayers } from "./packed-layers.ts";
import type { RecordMaker } from "./record-maker.ts";

export interface LostLayers {
  /** Rejects with the reason of the demand's signal when that is aborted. */
  remake(digest: Digest, demand: Demand): Promise<Remade>;
}

export type Remade =
  | { readonly kind: "remade"; readonly layer: LayerRecord }
  /** It cannot be had any more. */
  | { readonly kind: "gone" }
  | Exclude<Hindrance, NotBuilt>
  | NotTried;

export interface LostLayersOptions {
  readonly nix: NixTool;
  readonly maker: Pick<RecordMaker, "remake">;
  readonly layers: Pick<PackedLayers, "making">;
  readonly held: HeldPaths;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
}

export function createLostLayers(options: LostLayersOptions): LostLayers {
  const { nix, maker, layers, held, signal } = options;

  async function remakeOne(digest: Digest, demand: Demand): Promise<Remade> {
    const making = await layers.making(digest);
    if (making === undefined) return { kind: "gone" };
    const paths = pathsOf(making);
    const use = async () => {
      const graph = await queryClosure(nix, paths, signal);
      return { kind: "remade", layer: await maker.remake(making, graph) } as const;
    };
    const remade = await held.during(paths, use, demand);
    switch (remade.kind) {
      case "remade": {
        const { layer } = remade;
        // Other bytes under the digest asked for must never be served: then it is as good as gone.
        return layer?.digest === digest ? { kind: "remade", layer } : { kind: "gone" };
      }
      case "build-failed":
      case "build-timed-out":
      case "derivation-gone":
      // Paths are wanted, of which nothing is built.
      case "not-in-caches":
        return { kind: "gone" };
      case "cache-failed":
      case "source-unreachable":
      case "host-failed":
      case "timed-out":
      case "cancelled":
      case "busy":
        return remade;
      default:
        return remade satisfies never;
    }
  }

  const remaking = joinBatches<Digest, Remade>(
    (digest) => digest,
    (digests, demand) => Promise.all(digests.map((digest) => remakeOne(digest, demand))),
  );

  return {
    async remake(digest, demand) {
      const [result] = await remaking.all([digest], demand);
      return result ?? { kind: "gone" };
    },
  };
}

function pathsOf(making: Making): readonly StorePath[] {
  switch (making.kind) {
    case "bundle":
      return [...new Set([...making.storePaths, ...(making.viewOf?.outputs ?? [])])];
    case "links":
      return [];
    default:
      return making satisfies never;
  }
}
