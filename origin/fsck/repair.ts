// Removes what is wrong and has it made again. What cannot be made goes, and what names it after it, until all
// that is left is whole: whoever asks for what went has it made anew.

import { hash } from "node:crypto";
import { digestHex } from "../../registry/naming/digest.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { listedKey, parseStorageKey, type StorageKey, type StoredKey } from "../storage/keys.ts";
import { hasChecksum, parseStoredJson } from "../storage/stored-json.ts";
import type { Checked, Finding, Repair, Repaired } from "./finding.ts";
import { mendOneByte } from "./mend.ts";

/** What is to be made again, as far as it can. */
export interface Wanted {
  readonly values: ReadonlySet<StorageKey>;
  /** What was removed for its bytes, most of whose text is right. */
  readonly damaged: readonly Uint8Array[];
}

export interface RepairOptions {
  readonly store: BlobStore;
  /** What a check has found. */
  readonly found: readonly Finding[];
  readonly remake: (wanted: Wanted) => Promise<void>;
  /** Looks at all documents once more. */
  readonly check: () => Promise<Checked>;
}

/** A layer, its record, its lookup, its manifest, its index, and an entry of the outbox; and one more look. */
const MAX_ROUNDS = 7;
/** Of damaged values whose text may say what they were. */
const MAX_KEPT_BYTES = 512 * 1024;
const MAX_KEPT = 1000;
/** Each takes seconds; where more was damaged, it was by more than a byte. */
const MAX_MENDED = 16;

export async function repairStorage(options: RepairOptions): Promise<Repaired> {
  const { store, remake, check } = options;
  const tried = new Set<string>();
  const removed = new Set<StorageKey>();
  const damaged = new Map<StorageKey, Uint8Array>();
  let findings = options.found;

  async function remove(key: StorageKey, isDamaged: boolean): Promise<void> {
    const sizeBytes = isDamaged && damaged.size < MAX_KEPT ? await store.sizeBytes(key) : undefined;
    const isSmall = sizeBytes !== undefined && sizeBytes <= MAX_KEPT_BYTES;
    const bytes = isSmall ? await store.lookup(key) : undefined;
    if (bytes !== undefined) damaged.set(key, bytes);
    await store.remove(key);
    removed.add(key);
  }

  /** What could not be made of anything else. */
  async function mendAll(): Promise<void> {
    let tries = 0;
    for (const [key, bytes] of damaged) {
      const of = parseStorageKey(key);
      // An index is made again as a whole.
      if (of === undefined || of.collection.startsWith("index")) continue;
      if ((await store.sizeBytes(key)) !== undefined) continue;
      tries += 1;
      const mended = tries > MAX_MENDED ? undefined : mendOneByte(bytes, isRightOf(of));
      if (mended !== undefined) await store.create(key, mended);
    }
    damaged.clear();
  }

  for (let round = 0; round < MAX_ROUNDS && findings.length > 0; round += 1) {
    const wanted = new Set<string>();
    for (const finding of findings) {
      const missing = finding.kind === "incomplete" ? finding.missing : [];
      // A record that is gone too may be made in this round, which is all that a lookup misses.
      const untried = missing.filter((each) => !tried.has(each));
      if (untried.length === 0) await remove(listedKey(finding.key), finding.kind === "damaged");
      for (const each of untried.length === 0 ? [finding.key] : untried) wanted.add(each);
    }
    await remake({
      values: new Set([...wanted].flatMap(keyIn)),
      damaged: [...damaged.values()],
    });
    await mendAll();
    for (const each of wanted) tried.add(each);
    ({ findings } = await check());
  }
  return { repairs: await repairsOf(options, removed), findings };
}

function isRightOf(of: StoredKey): (bytes: Uint8Array) => boolean {
  if (of.collection === "layers" || of.collection === "manifests") {
    const hex = digestHex(of.digest);
    return (bytes) => hash("sha256", bytes, "hex") === hex;
  }
  return (bytes) => hasChecksum(bytes) && parseStoredJson(bytes) !== undefined;
}

function keyIn(text: string): StorageKey[] {
  return parseStorageKey(text) === undefined ? [] : [listedKey(text)];
}

async function repairsOf(
  { store, found }: RepairOptions,
  removed: ReadonlySet<StorageKey>,
): Promise<readonly Repair[]> {
  const missing = found.flatMap((each) => (each.kind === "incomplete" ? each.missing : []));
  const keys = new Set([...missing.flatMap(keyIn), ...removed]);
  const repairs = [...keys].sort().map(async (key): Promise<Repair> => {
    const isThere = (await store.sizeBytes(key)) !== undefined;
    return { key, kind: isThere ? "made-again" : "gone" };
  });
  return await Promise.all(repairs);
}
