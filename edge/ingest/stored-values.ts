// What KV and R2 hold, told in pages: whether the bytes of each value are those that were stored, and what it
// names. Whether that is there is for the origin to see, which has all pages: a Worker has no room for them.
// Also removes what it is told to.

import {
  type EdgeValue,
  type NamedValue,
  type OriginPlace,
  removalsBodySchema,
  type ValuesBody,
  type ValuesPage,
  valuesBodySchema,
} from "../../registry/between/stored-values.ts";
import { parseJson } from "../../registry/http/json.ts";
import { outputPathsOf, parseFound } from "../../registry/image/lookup.ts";
import { parseManifest } from "../../registry/image/named-blobs.ts";
import { parsePackageRecord, popularityBlob, recordLayers } from "../../registry/image/record.ts";
import {
  type Digest,
  digestHex,
  digestOf,
  parseDigest,
  toDigest,
} from "../../registry/naming/digest.ts";
import { objectsOf } from "../../registry/package-index/bodies.ts";
import type { Edge } from "../request/edge.ts";
import { isAsStored } from "../storage/document.ts";
import {
  copyOf,
  kvKey,
  type ParsedKey,
  parseKvKey,
  parseR2Key,
  R2_ORDER,
  r2Key,
} from "../storage/keys.ts";
import { unpackObject, unpackRoot } from "../storage/package-index.ts";
import { parsePointer } from "../storage/pointers.ts";
import { parseTagPins } from "../storage/tag-pins.ts";
import { acceptedResponse, parseBody } from "./ingest-documents.ts";
import { overEach } from "./presence.ts";

/** Each value is a call to the storage, of which a request may make a thousand. */
const MAX_VALUES_PER_PAGE = 200;
/** Hashed in some tenths of a second. A larger blob is alone in its page. */
const MAX_BYTES_PER_PAGE = 64 * 1024 * 1024;

/** Null where the bytes are not those that were stored. */
type Reading = readonly NamedValue[] | null;

export async function tellValues(edge: Edge, json: unknown): Promise<Response> {
  const body = parseBody(valuesBodySchema, json);
  const page = body.store === "r2" ? await pageOfR2(edge, body) : await pageOfKv(edge, body);
  return Response.json(page, { headers: { "Cache-Control": "no-store" } });
}

export async function removeValues(edge: Edge, json: unknown): Promise<Response> {
  const { store, keys, storedBeforeMs } = parseBody(removalsBodySchema, json);
  if (store === "kv") await overEach(keys, (key) => edge.kv.delete(key));
  else await edge.r2.delete([...(await storedBefore(edge, keys, storedBeforeMs))]);
  return acceptedResponse(200);
}

/** R2 removes under no condition: what is stored between the look and the removal is stored again when it is missed. */
async function storedBefore(
  edge: Edge,
  keys: readonly string[],
  beforeMs: number | null,
): Promise<readonly string[]> {
  if (beforeMs === null) return keys;
  const before: string[] = [];
  await overEach(keys, async (key) => {
    const object = await edge.r2.head(key);
    if (object !== null && object.uploaded.getTime() <= beforeMs) before.push(key);
  });
  return before;
}

/** A page may end before R2's own does, so the cursor is the last key of it and the folder it is in. */
async function pageOfR2({ r2 }: Edge, { reads, cursor }: ValuesBody): Promise<ValuesPage> {
  const [place = "0", after = ""] = (cursor ?? "0").split(" ");
  const prefix = R2_ORDER[Number(place)] ?? "";
  const listed = await r2.list({
    ...{ prefix, limit: MAX_VALUES_PER_PAGE },
    ...(after !== "" && { startAfter: after }),
  });
  let bytes = 0;
  const objects = listed.objects.filter(({ size }, index) => {
    bytes += size;
    return index === 0 || reads === "documents" || bytes <= MAX_BYTES_PER_PAGE;
  });
  const values: EdgeValue[] = [];
  await overEach(objects, async ({ key, size, uploaded }) => {
    const parsed = parseR2Key(key);
    const stored = { key, copyOf: null, sizeBytes: size, storedAtMs: uploaded.getTime() };
    if (parsed === undefined || parsed.kind === "staging") {
      values.push(unread(stored, parsed));
      return;
    }
    if (parsed.kind === "blob" && reads === "documents") {
      values.push(tellValue(stored, parsed, []));
      return;
    }
    const object = await r2.get(key);
    if (object !== null) values.push(tellValue(stored, parsed, await readObject(parsed, object)));
  });
  const isFolderDone = objects.length === listed.objects.length && !listed.truncated;
  if (!isFolderDone) return { values, cursor: `${place} ${objects.at(-1)?.key ?? ""}` };
  const next = Number(place) + 1;
  return { values, cursor: next < R2_ORDER.length ? String(next) : null };
}

async function pageOfKv({ kv }: Edge, { cursor }: ValuesBody): Promise<ValuesPage> {
  const listed = await kv.list({ limit: MAX_VALUES_PER_PAGE, ...(cursor !== null && { cursor }) });
  const values: EdgeValue[] = [];
  await overEach(listed.keys, async ({ name: key }) => {
    const parsed = parseKvKey(key);
    const { value, metadata } = await kv.getWithMetadata(key, { type: "arrayBuffer" });
    // Removed meanwhile.
    if (value === null) return;
    const bytes = new Uint8Array(value);
    const stored = { key, copyOf: copyOf(key), sizeBytes: bytes.length, storedAtMs: null };
    if (parsed === undefined) values.push(unread(stored, parsed));
    else values.push(tellValue(stored, parsed, await readKv(key, parsed, bytes, metadata)));
  });
  return { values, cursor: listed.list_complete ? null : listed.cursor };
}

async function readObject({ kind, name }: ParsedKey, object: R2ObjectBody): Promise<Reading> {
  switch (kind) {
    case "blob":
      return (await digestOfStream(object.body)) === `sha256:${name}` ? [] : null;
    case "manifest":
      return readManifest(name, await object.bytes());
    case "pointer":
      return readPointer(await object.bytes(), object.customMetadata);
    case "pins":
      return readPins(await object.bytes());
    default:
      await object.body.cancel();
      return [];
  }
}

async function readKv(
  key: string,
  { kind, name }: ParsedKey,
  bytes: Uint8Array,
  metadata: unknown,
): Promise<Reading> {
  switch (kind) {
    case "manifest":
      return readManifest(name, bytes);
    case "pointer":
      return readPointer(bytes, metadata);
    case "pins":
      return readPins(bytes);
    case "record": {
      if (!(await isAsStored(bytes, metadata))) return null;
      const record = parsePackageRecord(parseJson(bytes));
      if (record === undefined || (await kvKey.record(record, record.packing)) !== key) return null;
      const popularity = popularityBlob(record.packing);
      return [
        ...recordLayers(record).map(({ digest, sizeBytes }) => blob(digest, sizeBytes)),
        ...(popularity === null ? [] : [blob(popularity, null)]),
      ];
    }
    case "lookup": {
      if (!(await isAsStored(bytes, metadata))) return null;
      const found = parseFound(parseJson(bytes));
      const outputs = found && outputPathsOf(found).map((path) => r2Key.output(path));
      return outputs?.map((key) => ({ store: "r2", key, sizeBytes: null, ...NOWHERE })) ?? null;
    }
    case "index": {
      const root = await unpackRoot(bytes);
      if (root === undefined || kvKey.index(root.pin, root.system) !== key) return null;
      return objectsOf(root).map(({ digest }) => ({
        ...{ store: "kv", key: kvKey.indexObject(digest) },
        ...{ collection: "index-objects", name: digestHex(digest), sizeBytes: null },
      }));
    }
    case "index-object": {
      const digest = parseDigest(`sha256:${name}`);
      return digest && (await unpackObject(bytes, digest)) !== undefined ? [] : null;
    }
    default:
      return [];
  }
}

async function readManifest(hex: string, bytes: Uint8Array): Promise<Reading> {
  const manifest = parseManifest(parseJson(bytes));
  if (manifest === undefined || (await digestOf(bytes)) !== `sha256:${hex}`) return null;
  return manifest.kind === "index"
    ? manifest.manifests.map((each) => manifestKey(each.digest, each.sizeBytes))
    : manifest.blobs.map((each) => blob(each.digest, each.sizeBytes));
}

async function readPointer(bytes: Uint8Array, facts: unknown): Promise<Reading> {
  const pointer = await parsePointer(bytes, facts);
  return pointer === undefined ? null : [manifestKey(pointer.manifest.digest, bytes.length)];
}

function readPins(bytes: Uint8Array): Reading {
  return parseTagPins(parseJson(bytes)) === undefined ? null : [];
}

function blob(digest: Digest, sizeBytes: number | null): NamedValue {
  return {
    ...{ store: "r2", key: r2Key.blob(digest) },
    ...{ collection: "layers", name: digestHex(digest), sizeBytes },
  };
}

function manifestKey(digest: Digest, sizeBytes: number): NamedValue {
  return {
    store: "r2",
    key: r2Key.manifest(digest),
    collection: "manifests",
    name: digestHex(digest),
    sizeBytes,
  };
}

const NOWHERE = { collection: null, name: "" } as const;

type Stored = Pick<EdgeValue, "key" | "copyOf" | "sizeBytes" | "storedAtMs">;

function tellValue(stored: Stored, parsed: ParsedKey, names: Reading): EdgeValue {
  const state = names === null ? "damaged" : "whole";
  return { ...stored, ...placeOf(parsed), state, names: names ?? [] };
}

function placeOf({ kind, name }: ParsedKey): OriginPlace {
  switch (kind) {
    case "blob":
      return { collection: "layers", name };
    case "manifest":
      return { collection: "manifests", name };
    case "record":
      return { collection: "records", name };
    case "lookup":
      return { collection: "lookups", name };
    case "index":
      return { collection: "index", name };
    case "index-object":
      return { collection: "index-objects", name };
    default:
      return NOWHERE;
  }
}

function unread(stored: Stored, parsed: ParsedKey | undefined): EdgeValue {
  const state = parsed === undefined ? "unknown" : "unfinished";
  return { ...stored, ...NOWHERE, state, names: [] };
}

async function digestOfStream(body: ReadableStream): Promise<Digest> {
  const hashing = new crypto.DigestStream("SHA-256");
  await body.pipeTo(hashing);
  return toDigest(await hashing.digest);
}
