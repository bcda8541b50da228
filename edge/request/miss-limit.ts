// What one network may ask for of what is not here. A pull is what is counted, whatever it takes: so
// many manifests a minute, and each blob as often. So any number of layers is one pull, however the
// requests of a cluster spread over isolates.

import { RegistryError } from "../../registry/http/error.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { REFUSED_SECONDS, type Refusals } from "../isolate/refusals.ts";

/** Both throw TOOMANYREQUESTS beyond the limit. */
export interface MissLimit {
  /** One more pull, or what costs as much: a blob that is nowhere, since no pull asks for one. */
  admitPull(): Promise<void>;
  /** From `offset` on: a layer may be fetched in pieces, which are one of each. */
  admitBlob(digest: Digest, offset: number): Promise<void>;
}

export interface MissLimitOptions {
  readonly limiter: RateLimit | undefined;
  readonly network: string | undefined;
  readonly refusals: Refusals;
  readonly now: () => number;
  readonly onFailure: (cause: unknown) => void;
}

/** As clients fetch layers in pieces, or larger ones. */
const PIECE_BYTES = 4 * 1024 * 1024;

export function createMissLimit(options: MissLimitOptions): MissLimit {
  const { limiter, network = "unknown", refusals, now } = options;

  async function isAdmitted(key: string): Promise<boolean> {
    try {
      return (await limiter?.limit({ key }))?.success ?? true;
    } catch (cause) {
      options.onFailure(cause);
      return true;
    }
  }

  return {
    async admitPull() {
      if (await isAdmitted(network)) return;
      refusals.add(network, now());
      throw tooMany();
    },
    async admitBlob(digest, offset) {
      // Of blobs the limit itself knows only how often each was asked for.
      if (refusals.has(network, now())) throw tooMany();
      const piece = Math.floor(offset / PIECE_BYTES);
      if (!(await isAdmitted(`${network} ${digest} ${piece}`))) throw tooMany();
    },
  };
}

function tooMany(): RegistryError {
  const message = "too many pulls of what is not cached here; slow down";
  return new RegistryError("TOOMANYREQUESTS", message, { retryAfterSeconds: REFUSED_SECONDS });
}
