// Manifests by digest that are asked for over and over, answered as they were a moment ago: by the whole address,
// with headers that were made once. What makes most of a warm answer is left out so: reading the path, the
// setting up of a request, copying headers. All that is no plain GET goes the whole way, and once a second
// one of each: there pulls are counted and what is used is noted.

import { isYounger } from "../../registry/between/age.ts";
import { settledBy } from "../../registry/http/content.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { DocumentMemory } from "./document-memory.ts";
import type { Manifest } from "./manifest.ts";

export interface HotAnswers {
  /** Undefined for what goes the whole way. Of a registry without rules: nobody is asked who he is. */
  answer(request: Request, nowMs: number): Response | undefined;
  /** `headers`: those that anybody was just given with the whole manifest, out of memory. */
  note(url: string, digest: Digest, headers: Headers, nowMs: number): void;
}

const LIFE_MS = 1000;
const MAX_ADDRESSES = 1000;
/** As of what is read of addresses: a name of a hundred packages is longer. */
const MAX_ADDRESS_LENGTH = 1000;

interface Noted {
  readonly digest: Digest;
  readonly init: { readonly headers: Headers };
  readonly atMs: number;
}

export function createHotAnswers(memory: Pick<DocumentMemory<Manifest>, "lookup">): HotAnswers {
  const known = new Map<string, Noted>();
  return {
    answer({ method, url, headers }, nowMs) {
      const noted = known.get(url);
      if (noted === undefined || method !== "GET") return undefined;
      const { digest, init, atMs } = noted;
      if (!isYounger(atMs, nowMs, LIFE_MS) || settledBy(headers, digest) !== null) return undefined;
      // Only there bytes are kept, and within its bounds.
      const bytes = memory.lookup(digest)?.bytes;
      // Never of shared memory, which is all that the type of a body leaves out.
      return bytes && new Response(bytes as Uint8Array<ArrayBuffer>, init);
    },
    note(url, digest, headers, nowMs) {
      if (url.length > MAX_ADDRESS_LENGTH) return;
      // Forgetting all of them has each go the whole way once: cheaper than keeping an order.
      if (known.size >= MAX_ADDRESSES) known.clear();
      known.set(url, { digest, init: { headers: new Headers(headers) }, atMs: nowMs });
    },
  };
}
