// What makes layers and records again without a package set: of what they are known to be made of, with the
// machine's Nix. It stands beside an origin that may be serving.

import type { Digest } from "../../registry/naming/digest.ts";
import type { Config } from "../configuration/config.ts";
import { createHeldPaths } from "../images/held-paths.ts";
import { createLostLayers } from "../images/lost-layers.ts";
import { createPackedLayers } from "../images/packed-layers.ts";
import { createRecordMaker } from "../images/record-maker.ts";
import { createRecords, type Records } from "../images/records.ts";
import type { RecordFailure } from "../images/wanted-parts.ts";
import { drawHere } from "../layers/draw-view.ts";
import { createPacker } from "../layers/packer.ts";
import { NO_POPULARITY, type Popularity } from "../layers/popularity.ts";
import type { Log } from "../log/log.ts";
import { rememberFailures } from "../memory/failure-memory.ts";
import { buildPolicy } from "../nix/build-policy.ts";
import { availableMemoryBytes, machineMemoryBytes } from "../nix/machine-memory.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import { offerPopularity } from "../popularity/obtain.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { ALWAYS } from "../waiting/demand.ts";
import { watchMemory } from "../waiting/memory-watch.ts";

export interface Workshop {
  /** Whether a layer of the same bytes is stored again. */
  remakeLayer(digest: Digest): Promise<boolean>;
  /** Records whose layers are cut by these data. */
  recordsCutBy(popularity: Popularity): Records;
  close(): Promise<void>;
}

export interface WorkshopOptions {
  readonly config: Config;
  readonly nix: NixTool;
  readonly store: BlobStore;
  /** For roots of its own: a start clears the origin's. */
  readonly rootsDir: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export function openWorkshop(options: WorkshopOptions): Workshop {
  const { config, nix, store, rootsDir, log, signal } = options;
  const { storeDirectory } = nix;
  const workers = config.packWorkers;
  const packer = createPacker({ storeDirectory, ...(workers !== null && { workers }) });
  const layers = createPackedLayers({ packer, store, log, signal });
  const makerWith = (popularity: Popularity) =>
    createRecordMaker({ layers, popularity, draw: drawHere(storeDirectory) });
  const memory = watchMemory({
    ...{ log, signal, machineBytes: machineMemoryBytes(), availableBytes: availableMemoryBytes },
  });
  const policy = buildPolicy(config, nix.settings);
  const held = createHeldPaths({ ...config, nix, rootsDir, policy, memory, log, signal });
  // A layer is made of what its making says, however such layers are cut.
  const lost = createLostLayers({ nix, maker: makerWith(NO_POPULARITY), layers, held, signal });
  const failures = rememberFailures<RecordFailure>({
    forMs: config.failureMemoryMs,
    now: Date.now,
  });
  return {
    async remakeLayer(digest) {
      return (await lost.remake(digest, ALWAYS)).kind === "remade";
    },
    recordsCutBy: (popularity) =>
      createRecords({
        ...{ nix, store, maker: makerWith(popularity), held, failures, signal },
        maxClosureBytes: config.maxClosureBytes,
        ...{ offer: () => offerPopularity(popularity, store), now: Date.now },
      }),
    async close() {
      await packer.close();
      await layers.close();
    },
  };
}
