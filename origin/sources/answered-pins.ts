// The pins at which images were answered, the last one first: where an image that is asked for by its
// digest, and not kept, may be composed again. A file for each source, written when a pin is new.

import * as v from "valibot";
import { type Pin, pinSchema } from "../../registry/naming/pin.ts";
import type { Log } from "../log/log.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";

export interface AnsweredPins {
  /** Before an image is answered at it. Never fails: what is not on disk is forgotten by a kill. */
  note(pin: Pin): Promise<void>;
  newest(): readonly Pin[];
}

export interface AnsweredPinsOptions {
  readonly store: BlobStore;
  readonly sourceId: string;
  readonly log: Pick<Log, "warn">;
}

/** Two months of a channel that moves daily. */
export const MAX_ANSWERED_PINS = 64;

const storedSchema = v.array(pinSchema);

export async function openAnsweredPins(options: AnsweredPinsOptions): Promise<AnsweredPins> {
  const { store, log } = options;
  const key = storageKey.answered(options.sourceId);
  let pins = await read();
  let writing = Promise.resolve();

  async function read(): Promise<readonly Pin[]> {
    const bytes = await store.lookup(key);
    const parsed = v.safeParse(storedSchema, bytes && parseStoredJson(bytes));
    return parsed.success ? parsed.output.slice(0, MAX_ANSWERED_PINS) : [];
  }

  /** With what another origin of this storage has noted since. */
  async function write(): Promise<void> {
    try {
      pins = [...new Set([...pins, ...(await read())])].slice(0, MAX_ANSWERED_PINS);
      await store.store(key, storedJson(pins));
    } catch (error) {
      log.warn({ err: error }, "a pin that images were answered at is not on disk");
    }
  }

  return {
    async note(pin) {
      if (pins[0] === pin) return writing;
      const isKnown = pins.includes(pin);
      pins = [pin, ...pins.filter((each) => each !== pin)].slice(0, MAX_ANSWERED_PINS);
      if (!isKnown) writing = writing.then(write);
      await writing;
    },
    newest: () => pins,
  };
}
