// Chunks of one layer in memory that several threads see. The thread that packs the layer puts them
// there, and whichever thread is free compresses the next: the packing thread itself, or one that
// helps. The results go out in the order of the chunks and each is a function of its chunk alone, so
// the bytes do not depend on who took part.
//
// A slot is free, ready (holds a chunk), taken by a thread, or done (holds a result). Only taking is
// contended; a slot's bytes belong to whoever its state names.

import type { Form } from "../../registry/image/record.ts";
import { CHUNK_SIZE_BYTES } from "./chunk-writer.ts";
import {
  type ChunkCompressor,
  compressChunk,
  OUTPUT_SLACK_BYTES,
  useOnce,
  WINDOW_SIZE_BYTES,
} from "./compression.ts";

/** Shared between threads as it is when posted to one. */
export interface SharedChunks {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
}

const FREE = 0;
const READY = 1;
const DONE = 2;
/** Taken by the packing thread; by a helper: this plus the helper's number. */
const TAKEN = 3;

const FINISHED = 0;
const HELPERS = 1;
/** Rises whenever a helper may have something to do; helpers wait for that. */
const CHANGES = 2;
const FIRST_SLOT = 3;
const SLOT_WORDS = 4;
const OUTPUT_SIZE_BYTES = CHUNK_SIZE_BYTES + OUTPUT_SLACK_BYTES;
const SLOT_SIZE_BYTES = WINDOW_SIZE_BYTES + CHUNK_SIZE_BYTES + OUTPUT_SIZE_BYTES;

export function createSharedChunks(helpers: number): SharedChunks {
  // Two for each thread: one is compressed, one waits.
  const slots = 2 * (helpers + 1);
  const wordBytes = (FIRST_SLOT + slots * SLOT_WORDS) * Int32Array.BYTES_PER_ELEMENT;
  return {
    words: new Int32Array(new SharedArrayBuffer(wordBytes)),
    bytes: new Uint8Array(new SharedArrayBuffer(slots * SLOT_SIZE_BYTES)),
  };
}

/** A word that says zero until it is set, seen by all threads. */
export function createFlag(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}

/** No more help is needed, or none can be used any more. */
export function finish({ words }: SharedChunks): void {
  Atomics.store(words, FINISHED, 1);
  wakeHelpers({ words });
}

/** After a change in what a helper's `isRecalled` looks at. */
export function wakeHelpers({ words }: Pick<SharedChunks, "words">): void {
  Atomics.add(words, CHANGES, 1);
  Atomics.notify(words, CHANGES);
}

/** Before the helper is told. */
export function admitHelper({ words }: SharedChunks): void {
  Atomics.add(words, HELPERS, 1);
}

/** A helper has gone, perhaps in the middle of a chunk, which is then free for others to take. */
export function dismissHelper({ words }: SharedChunks, helper: number): void {
  Atomics.sub(words, HELPERS, 1);
  for (let state = FIRST_SLOT; state < words.length; state += SLOT_WORDS) {
    const was = Atomics.compareExchange(words, state, TAKEN + helper, READY);
    if (was === TAKEN + helper) Atomics.notify(words, state);
  }
}

/** Compresses chunks until there is no more need; `helper` counts from one. */
export function helpCompress(
  shared: SharedChunks,
  form: Form,
  helper: number,
  isRecalled: () => boolean,
): void {
  const { words } = shared;
  for (;;) {
    const changes = Atomics.load(words, CHANGES);
    if (Atomics.load(words, FINISHED) !== 0 || isRecalled()) return;
    const isIdle = !helpOnce(shared, form, helper);
    if (isIdle) Atomics.wait(words, CHANGES, changes);
  }
}

/** False where no chunk is ready. */
export function helpOnce(shared: SharedChunks, form: Form, helper: number): boolean {
  const slot = takeSlot(shared, 0, TAKEN + helper);
  if (slot !== undefined) useOnce(slot.compress(form), slot.putResult);
  return slot !== undefined;
}

/** The packing thread's side: compresses alone as long as nobody helps. */
export function createSharedCompressor(
  shared: SharedChunks,
  form: Form,
  emit: (bytes: Uint8Array) => void,
): ChunkCompressor {
  const { words } = shared;
  const slots = countSlots(shared);
  let head = 0;
  let held = 0;

  const emitDone = (): boolean => {
    const slot = slotAt(shared, head);
    if (held === 0 || Atomics.load(words, slot.state) !== DONE) return false;
    emit(slot.result());
    release(slot);
    return true;
  };
  const release = (slot: Slot) => {
    Atomics.store(words, slot.state, FREE);
    head = (head + 1) % slots;
    held -= 1;
  };
  /** Brings the oldest chunk nearer to its end, or waits for who has it. */
  const advance = () => {
    if (emitDone()) return;
    const oldest = slotAt(shared, head);
    const slot = takeSlot(shared, head, TAKEN);
    if (slot === undefined) {
      const state = Atomics.load(words, oldest.state);
      if (state > TAKEN) Atomics.wait(words, oldest.state, state);
    } else if (slot.state === oldest.state) {
      useOnce(slot.compress(form), emit);
      release(slot);
    } else {
      useOnce(slot.compress(form), slot.putResult);
    }
  };

  return {
    compress: (chunk, window) => {
      if (held === 0 && Atomics.load(words, HELPERS) === 0) {
        useOnce(compressChunk(chunk, window, form), emit);
        return;
      }
      while (emitDone());
      while (held === slots) advance();
      slotAt(shared, (head + held) % slots).fill(chunk, window);
      held += 1;
      wakeHelpers(shared);
    },
    drain: () => {
      while (held > 0) advance();
    },
  };
}

type Slot = ReturnType<typeof slotAt>;

function countSlots({ words }: SharedChunks): number {
  return (words.length - FIRST_SLOT) / SLOT_WORDS;
}

function slotAt({ words, bytes }: SharedChunks, place: number) {
  const state = FIRST_SLOT + place * SLOT_WORDS;
  const [windowSize, chunkSize, resultSize] = [state + 1, state + 2, state + 3] as const;
  const windowAt = place * SLOT_SIZE_BYTES;
  const chunkAt = windowAt + WINDOW_SIZE_BYTES;
  const resultAt = chunkAt + CHUNK_SIZE_BYTES;
  const part = (at: number, size: number) => bytes.subarray(at, at + Atomics.load(words, size));
  return {
    state,
    fill: (chunk: Uint8Array, window: Uint8Array) => {
      bytes.set(window, windowAt);
      bytes.set(chunk, chunkAt);
      Atomics.store(words, windowSize, window.length);
      Atomics.store(words, chunkSize, chunk.length);
      Atomics.store(words, state, READY);
    },
    compress: (form: Form) =>
      compressChunk(part(chunkAt, chunkSize), part(windowAt, windowSize), form),
    putResult: (result: Uint8Array) => {
      if (result.length > OUTPUT_SIZE_BYTES) throw new Error(`a chunk grew to ${result.length}`);
      bytes.set(result, resultAt);
      Atomics.store(words, resultSize, result.length);
      Atomics.store(words, state, DONE);
      Atomics.notify(words, state);
    },
    result: () => part(resultAt, resultSize),
  };
}

/** The first ready slot, now taken; the one at `from` is looked at first. */
function takeSlot(shared: SharedChunks, from: number, taken: number): Slot | undefined {
  const slots = countSlots(shared);
  for (let step = 0; step < slots; step += 1) {
    const slot = slotAt(shared, (from + step) % slots);
    if (Atomics.compareExchange(shared.words, slot.state, READY, taken) === READY) return slot;
  }
  return undefined;
}
