// What of an answer of the origin goes on: a manifest that is what its digest names, a blob whose bytes
// are yet to be compared with theirs. Anything else is an error, and 503 unless the origin says more.

import * as v from "valibot";
import { cancelBody, readLimited } from "../../registry/http/body.ts";
import { PACKING_HEADER, PIN_HEADER } from "../../registry/http/content.ts";
import { EVENT_STREAM } from "../../registry/http/event-stream.ts";
import {
  type ImageAnswer,
  MAX_ANSWER_BYTES,
  parseImageAnswer,
} from "../../registry/http/image-answer.ts";
import { parseJson } from "../../registry/http/json.ts";
import {
  MAX_VIEW_BYTES,
  type OperatorView,
  parseOperatorView,
} from "../../registry/http/operator-view.ts";
import { OMITTED_HEADER, omittedSchema } from "../../registry/image/image-index.ts";
import { type PackingId, parsePackingId } from "../../registry/image/record.ts";
import { type Digest, parseDigest } from "../../registry/naming/digest.ts";
import { type Pin, parsePin } from "../../registry/naming/pin.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { type Manifest, verifyManifest } from "../isolate/manifest.ts";
import { originError, unusable } from "./origin-error.ts";

export type OriginReference =
  | { readonly kind: "tag"; readonly tag: Tag }
  | { readonly kind: "digest"; readonly digest: Digest };

export interface OriginManifest {
  readonly manifest: Manifest;
  readonly pin: Pin | undefined;
  readonly packing: PackingId | undefined;
  readonly warning: string | undefined;
  /** The platforms that an index lacks. */
  readonly omitted: string | undefined;
}

/** Whole with 200; a part with 206; with 416 no body. Not verified yet. */
export interface OriginBlob {
  readonly status: 200 | 206 | 416;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
  /** It was not what its digest names. */
  readonly wasWrong: (why: Error) => void;
}

/** Some clients stop at about 4 MB. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const WARNING = /^299 - "[\x20\x21\x23-\x5b\x5d-\x7e]{1,500}"$/;

export async function readManifest(
  response: Response,
  reference: OriginReference,
): Promise<OriginManifest> {
  if (response.status !== 200) throw await originError(response);
  const { headers } = response;
  const told = parseDigest(headers.get("Docker-Content-Digest") ?? "");
  const expected = reference.kind === "digest" ? reference.digest : told;
  const bytes = await readLimited(response.body, MAX_MANIFEST_BYTES);
  if (bytes === undefined) throw unusable("a manifest beyond any client's limit");
  const mediaType = headers.get("Content-Type") ?? undefined;
  const manifest =
    expected !== undefined && told === expected
      ? await verifyManifest(bytes, expected, mediaType)
      : undefined;
  if (manifest === undefined) throw unusable("a manifest that is not what its digest names");
  const omitted = v.safeParse(omittedSchema, headers.get(OMITTED_HEADER));
  return {
    manifest,
    pin: parsePin(headers.get(PIN_HEADER) ?? ""),
    packing: parsePackingId(headers.get(PACKING_HEADER) ?? ""),
    warning: warningOf(headers),
    omitted: omitted.success ? omitted.output : undefined,
  };
}

export async function readHead(response: Response): Promise<OriginBlob | undefined> {
  return response.status === 200 ? readBlob(response, () => undefined) : undefined;
}

export async function readBlob(
  response: Response,
  wasWrong: OriginBlob["wasWrong"],
): Promise<OriginBlob> {
  const { status, headers, body } = response;
  if (status !== 200 && status !== 206 && status !== 416) throw await originError(response);
  if (headers.has("Content-Encoding")) {
    await cancelBody(body);
    throw unusable("a coded body");
  }
  return { status, headers, body, wasWrong };
}

/** The origin's own words, whose end nobody knows. */
export async function readEventStream(response: Response): Promise<ReadableStream<Uint8Array>> {
  const { status, headers, body } = response;
  if (status !== 200) throw await originError(response);
  if (body !== null && headers.get("Content-Type") === EVENT_STREAM) return body;
  await cancelBody(body);
  throw unusable("no stream of events");
}

export function warningOf(headers: Headers): string | undefined {
  const warning = headers.get("Warning");
  return warning !== null && WARNING.test(warning) ? warning : undefined;
}

export async function readOperatorView(response: Response): Promise<OperatorView> {
  if (response.status !== 200) throw await originError(response);
  const bytes = await readLimited(response.body, MAX_VIEW_BYTES);
  const view = bytes && parseOperatorView(parseJson(bytes));
  if (view === undefined) throw unusable("what it says of itself cannot be read");
  return view;
}

/** Whatever its status is, which says the same again; else the origin's error. */
export async function readImageAnswer(response: Response): Promise<ImageAnswer> {
  const bytes = await readLimited(response.body, MAX_ANSWER_BYTES);
  const answer = bytes && parseImageAnswer(parseJson(bytes));
  if (answer !== undefined) return answer;
  const body = bytes === undefined ? null : (bytes as Uint8Array<ArrayBuffer>);
  throw await originError(new Response(body, response));
}
