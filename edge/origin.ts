// The only caller of the origin. A request carries our token and nothing of the client's but a range;
// of an answer only what was checked goes on. Absence is what the origin itself says in a registry
// error; everything else that is no content is 503.

import { type Digest, parseDigest } from "../registry/digest.ts";
import { RegistryError } from "../registry/error.ts";
import { type Pin, parsePin } from "../registry/pin.ts";
import type { Tag } from "../registry/reference.ts";
import { type SecretKey, signRequest } from "../registry/token.ts";
import { VARIANT_HEADER, type Variant } from "../registry/variant.ts";
import { cancelBody, readLimited } from "./body.ts";
import type { Manifest } from "./manifest-memory.ts";
import { verifyManifest } from "./manifests.ts";
import { originError, unusable } from "./origin-error.ts";

export type OriginReference =
  | { readonly kind: "tag"; readonly tag: Tag }
  | { readonly kind: "digest"; readonly digest: Digest };

export interface OriginManifest {
  readonly manifest: Manifest;
  readonly pin: Pin | undefined;
  readonly warning: string | undefined;
}

/** Whole with 200; a part with 206; with 416 no body. Not verified yet. */
export interface OriginBlob {
  readonly status: 200 | 206 | 416;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** All of them throw RegistryError for whatever is no content. */
export interface Origin {
  manifest(
    repository: string,
    reference: OriginReference,
    variant: Variant,
  ): Promise<OriginManifest>;
  /** Makes the origin resolve and build a tag, without moving the manifest. */
  refresh(repository: string, tag: Tag, variant: Variant): Promise<void>;
  blob(method: "GET" | "HEAD", digest: Digest, range: string | null): Promise<OriginBlob>;
}

export interface OriginOptions {
  readonly url: string | undefined;
  readonly secretKeys: readonly SecretKey[];
  readonly now: () => number;
  readonly fetch: (request: Request) => Promise<Response>;
  readonly deadlinesMs?: OriginDeadlines;
}

export interface OriginDeadlines {
  /** The origin itself gives up on a build before this, with an error that says more. */
  readonly manifestMs: number;
  /** Until the headers of a blob; its body then takes what it takes. */
  readonly blobMs: number;
}

const DEADLINES: OriginDeadlines = { manifestMs: 120_000, blobMs: 30_000 };
/** Some clients stop at about 4 MB. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Blobs are global; the path needs a name, and any will do. */
const ANY_REPOSITORY = "nixport";
const WARNING = /^299 - "[\x20\x21\x23-\x5b\x5d-\x7e]{1,500}"$/;

type Method = "GET" | "HEAD";

export function createOrigin(options: OriginOptions): Origin {
  const { manifestMs, blobMs } = options.deadlinesMs ?? DEADLINES;

  /** Keeps the deadline until `read` is done with the answer. */
  async function ask<Result>(
    method: Method,
    path: string,
    headers: Readonly<Record<string, string>>,
    deadlineMs: number,
    read: (response: Response) => Promise<Result>,
  ): Promise<Result> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), deadlineMs);
    try {
      const response = await options.fetch(await request(method, path, headers, deadline.signal));
      return await read(response);
    } catch (cause) {
      if (cause instanceof RegistryError) throw cause;
      const what = deadline.signal.aborted ? "did not answer in time" : "cannot be reached";
      throw new RegistryError("UNAVAILABLE", `not cached here, and the origin ${what}; try again`, {
        cause,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async function request(
    method: Method,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Request> {
    if (options.url === undefined) throw new Error("ORIGIN_URL is not set");
    const url = new URL(path, options.url);
    const signed = { method, path: url.pathname };
    const token =
      options.secretKeys.length > 0 &&
      (await signRequest(options.secretKeys, "edge", signed, options.now()));
    return new Request(url, {
      method,
      headers: {
        ...headers,
        ...(token && { Authorization: `Bearer ${token}` }),
        // A coded body would be decoded on the way, and its length and digest would not match.
        "Accept-Encoding": "identity",
      },
      redirect: "manual",
      signal,
    });
  }

  return {
    manifest(repository, reference, variant) {
      const last = reference.kind === "tag" ? reference.tag : reference.digest;
      const path = `/v2/${repository}/manifests/${last}`;
      return ask("GET", path, { [VARIANT_HEADER]: variant }, manifestMs, async (response) => {
        if (response.status !== 200) throw await originError(response);
        return readManifest(response, reference);
      });
    },
    async refresh(repository, tag, variant) {
      const path = `/v2/${repository}/manifests/${tag}`;
      const headers = { [VARIANT_HEADER]: variant };
      const status = await ask("HEAD", path, headers, manifestMs, async (response) => {
        await cancelBody(response.body);
        return response.status;
      });
      if (status === 200) return;
      if (status !== 404) throw unusable(`status ${status}`);
      // What is unknown, the tag or a package, only the body of a GET says.
      await ask("GET", path, headers, manifestMs, async (response) => {
        if (response.status !== 200) throw await originError(response);
        await cancelBody(response.body);
      });
    },
    blob(method, digest, range) {
      const path = `/v2/${ANY_REPOSITORY}/blobs/${digest}`;
      return ask(method, path, range === null ? {} : { Range: range }, blobMs, async (response) => {
        const { status, headers, body } = response;
        if (status !== 200 && status !== 206 && status !== 416) throw await originError(response);
        if (headers.has("Content-Encoding")) throw unusable("a coded body");
        return { status, headers, body };
      });
    },
  };
}

async function readManifest(
  response: Response,
  reference: OriginReference,
): Promise<OriginManifest> {
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
  const warning = headers.get("Warning");
  return {
    manifest,
    pin: parsePin(headers.get("Nixport-Pin") ?? ""),
    warning: warning !== null && WARNING.test(warning) ? warning : undefined,
  };
}
