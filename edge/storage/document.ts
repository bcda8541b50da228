// A lookup or a record in KV: JSON, with its digest beside it. What is composed of one with a changed digit
// would be an image that nobody has, so what is not as it was stored counts as absent.

import { parseJson } from "../../registry/http/json.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { Edge } from "../request/edge.ts";

interface DocumentMetadata {
  readonly digest: Digest;
}

export async function storeDocument(edge: Edge, key: string, document: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  const metadata: DocumentMetadata = { digest: await digestOf(bytes) };
  await edge.kv.put(key, bytes, { metadata });
}

/** Those of earlier versions have no digest, and are believed. */
export async function isAsStored(bytes: Uint8Array, metadata: unknown): Promise<boolean> {
  const { digest } = (metadata ?? {}) as Partial<DocumentMetadata>;
  return digest === undefined || (await digestOf(bytes)) === digest;
}

/** What a document says; undefined where it is not what was stored. */
export async function readDocument(
  edge: Edge,
  key: string,
  text: string,
  metadata: unknown,
): Promise<unknown> {
  if (await isAsStored(new TextEncoder().encode(text), metadata)) return parseJson(text);
  edge.log({ level: "error", event: "corrupt document", tier: "kv", key });
  return undefined;
}
