// Which images were pulled, and when: what a collector goes by. Noted in memory and written a minute late,
// to a file of this process for each day, so that origins on one storage do not meet. A kill loses a
// minute of it.

import { randomUUID } from "node:crypto";
import * as v from "valibot";
import { isYounger } from "../../registry/between/age.ts";
import { type PulledImage, pulledImageSchema } from "../../registry/between/pulled-images.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Log } from "../log/log.ts";
import { type RecentValues, recentValues } from "../memory/recent-values.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";
import { pulledImageKey } from "./pulled-image.ts";

export interface PullNotes {
  /** It is answered. Of an image that is pulled all the time a note is written once in an hour. */
  pulled(image: PulledImage): void;
  /** By its digest: with all that is known of it here. */
  pulledAgain(digest: Digest): void;
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

export interface NotedPull extends PulledImage {
  /** To within `NOTED_WITHIN_MS`. */
  readonly pulledAtMs: number;
}

export interface PullNotesOptions {
  readonly store: Pick<BlobStore, "remember">;
  readonly now: () => number;
  readonly log: Pick<Log, "warn">;
}

/** By how much the last pull may be later than its note says. */
export const NOTED_WITHIN_MS = 3_600_000;
const WRITE_AFTER_MS = 60_000;
/** In one file, of some 300 bytes each; then there is another. */
const MAX_NOTED = 10_000;
/** Of which it is known what a digest is of. */
const MAX_KNOWN = 20_000;

const storedSchema = v.array(
  v.intersect([pulledImageSchema, v.object({ pulledAtMs: v.number() })]),
);

export function parsePullNotes(bytes: Uint8Array): readonly NotedPull[] {
  const parsed = v.safeParse(storedSchema, parseStoredJson(bytes));
  return parsed.success ? parsed.output : [];
}

interface Page {
  readonly day: string;
  readonly key: StorageKey;
  readonly notes: Map<string, NotedPull>;
  isWritten: boolean;
}

export function createPullNotes({ store, now, log }: PullNotesOptions): PullNotes {
  const known: RecentValues<PulledImage> = recentValues(MAX_KNOWN);
  let page = newPage(dayOf(now()));
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();

  function write(): void {
    clearTimeout(timer);
    timer = undefined;
    if (page.isWritten) return;
    page.isWritten = true;
    const { key, notes } = page;
    const bytes = storedJson([...notes.values()]);
    writing = writing
      .then(() => store.remember(key, bytes))
      .catch((error) => log.warn({ err: error }, "what was pulled could not be noted"));
  }

  function note(image: PulledImage): void {
    const pulledAtMs = now();
    const day = dayOf(pulledAtMs);
    if (day !== page.day || page.notes.size >= MAX_NOTED) {
      write();
      page = newPage(day);
    }
    const name = pulledImageKey(image);
    const before = page.notes.get(name);
    if (before && isYounger(before.pulledAtMs, pulledAtMs, NOTED_WITHIN_MS)) return;
    page.notes.set(name, { ...image, pulledAtMs });
    page.isWritten = false;
    timer ??= setTimeout(write, WRITE_AFTER_MS).unref();
  }

  return {
    pulled(image) {
      for (const digest of image.manifests) known.store(digest, image);
      note(image);
    },
    pulledAgain(digest) {
      note(known.lookup(digest) ?? { manifests: [digest], of: null });
    },
    async close() {
      write();
      await writing;
    },
  };
}

function newPage(day: string): Page {
  return { day, key: storageKey.pulls(day, randomUUID()), notes: new Map(), isWritten: true };
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
