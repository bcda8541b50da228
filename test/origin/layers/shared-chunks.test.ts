import { assert, describe, expect, test } from "vitest";
import { CHUNK_SIZE_BYTES } from "../../../origin/layers/chunk-writer.ts";
import { compressSegment, createSegmentCompressor } from "../../../origin/layers/compression.ts";
import {
  admitHelper,
  createSharedChunks,
  createSharedCompressor,
  dismissHelper,
  finish,
  helpCompress,
  helpOnce,
  type SharedChunks,
} from "../../../origin/layers/shared-chunks.ts";
import { FORMS, type Form } from "../../../registry/image/record.ts";

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

/** Chunks that refer to each other, so that gzip's depend on their windows. */
function chunksOf(count: number, next: (below: number) => number): readonly Buffer[] {
  const phrase = Buffer.from(Array.from({ length: 20_000 }, () => next(256)));
  return Array.from({ length: count }, (_, at) => {
    const chunk = Buffer.alloc(at === count - 1 ? 12_345 : CHUNK_SIZE_BYTES, `chunk ${at} `);
    phrase.copy(chunk, 100);
    phrase.copy(chunk, chunk.length - 5000);
    return chunk;
  });
}

/** As a helper that ends with a chunk in its hands, where there is one: it has no form for it. */
function crash(shared: SharedChunks, helper: number): void {
  try {
    helpOnce(shared, undefined as unknown as Form, helper);
  } catch (error) {
    assert(error instanceof TypeError);
  }
}

/** Compresses in this thread alone, taking turns with helpers that come, work, crash and go. */
function compressWithHelp(chunks: readonly Buffer[], form: Form, next: (below: number) => number) {
  const shared = createSharedChunks(2);
  const pieces: Buffer[] = [];
  const emit = (bytes: Uint8Array) => {
    pieces.push(Buffer.from(bytes));
  };
  const segment = createSegmentCompressor(form, createSharedCompressor(shared, form, emit), emit);
  const helpers: number[] = [];
  let helped = 0;
  for (const [at, chunk] of chunks.entries()) {
    if (helpers.length < 2 && next(3) > 0) {
      helpers.push(at + 1);
      admitHelper(shared);
    }
    segment.compress(chunk);
    for (const helper of [...helpers]) {
      const choice = next(4);
      if (choice > 0 && helpOnce(shared, form, helper)) helped += 1;
      if (choice > 1) continue;
      crash(shared, helper);
      dismissHelper(shared, helper);
      helpers.splice(helpers.indexOf(helper), 1);
    }
  }
  segment.end();
  return { bytes: Buffer.concat(pieces), helped };
}

describe.for(FORMS)("%s chunks compressed with help", (form) => {
  test("give the bytes of one thread, whoever took which, and whoever crashed", () => {
    const chunks = chunksOf(9, random(7));
    const expected = compressSegment(Buffer.concat(chunks), form);
    let total = 0;
    for (let seed = 1; seed <= 12; seed += 1) {
      const { bytes, helped } = compressWithHelp(chunks, form, random(seed));
      expect(bytes.equals(expected), `seed ${seed}: ${bytes.length}, ${expected.length}`).toBe(
        true,
      );
      total += helped;
    }
    expect(total, `helpers took ${total}`).toBeGreaterThan(12);
  });
});

describe("a helper", () => {
  test("returns when the layer is done, and when it is called back", () => {
    const shared = createSharedChunks(1);
    helpCompress(shared, "zstd", 1, () => true);
    finish(shared);
    helpCompress(shared, "zstd", 1, () => false);
  });
});
