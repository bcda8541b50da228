// A layer, a config or popularity data out of the storage: what is no longer what its digest says is removed
// instead of given to anyone, so that it is made again.

import { createHash } from "node:crypto";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import type { Log } from "../log/log.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";

export type StoredBlob =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** Known to be right at its end only: it fails there where it is not. */
  | { readonly kind: "stream"; readonly stream: ReadableStream<Uint8Array> }
  | { readonly kind: "absent" }
  /** Absent from now on. */
  | { readonly kind: "damaged" };

export interface StoredBlobs {
  readonly store: Pick<BlobStore, "lookup" | "open" | "remove">;
  readonly log: Pick<Log, "error">;
}

/** Up to this a blob is looked at before its first byte is given. */
const MAX_AT_ONCE_BYTES = 1 << 20;

export async function openStoredBlob(
  { store, log }: StoredBlobs,
  digest: Digest,
  sizeBytes: number,
): Promise<StoredBlob> {
  const key = storageKey.layer(digest);
  const removeDamaged = async () => {
    log.error({ digest }, "a damaged blob is removed, to be made again");
    await store.remove(key);
  };
  if (sizeBytes > MAX_AT_ONCE_BYTES) {
    const stream = await store.open(key, null);
    if (stream === undefined) return { kind: "absent" };
    return { kind: "stream", stream: verified(stream, digest, removeDamaged) };
  }
  const bytes = await store.lookup(key);
  if (bytes === undefined) return { kind: "absent" };
  if (createHash("sha256").update(bytes).digest("hex") === digestHex(digest)) {
    return { kind: "bytes", bytes };
  }
  await removeDamaged();
  return { kind: "damaged" };
}

/** The last piece is held back until all have the hash, so that a wrong blob never arrives complete. */
function verified(
  stream: ReadableStream<Uint8Array>,
  digest: Digest,
  onDamaged: () => Promise<void>,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  const hash = createHash("sha256");
  let held: Uint8Array | undefined;

  /** Undefined at the end. */
  async function nextPiece(): Promise<Uint8Array | undefined> {
    const { done, value } = await reader.read();
    if (!done) {
      hash.update(value);
      return value;
    }
    if (hash.digest("hex") === digestHex(digest)) return undefined;
    await onDamaged();
    throw new Error(`${digest} is stored with other bytes`);
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        held ??= await nextPiece();
        const next = held && (await nextPiece());
        if (held !== undefined) controller.enqueue(held);
        held = next;
        if (next === undefined) controller.close();
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
