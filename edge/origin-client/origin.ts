// What is asked of the origin, by `ask.ts` alone. A request carries nothing of the client's but a range;
// of an answer only what was checked goes on. Absence is what the origin itself says in a registry
// error; everything else that is no content is 503.

import * as v from "valibot";
import { FOLLOW, NEVER, REDIRECTS_HEADER } from "../../registry/between/redirects.ts";
import { cancelBody, readLimited } from "../../registry/http/body.ts";
import { PACKING_HEADER, PIN_HEADER } from "../../registry/http/content.ts";
import { answeredWithin, RESPOND_ASYNC } from "../../registry/http/prefer.ts";
import { OMITTED_HEADER, omittedSchema } from "../../registry/image/image-index.ts";
import { type PackingId, parsePackingId } from "../../registry/image/record.ts";
import { type Digest, parseDigest } from "../../registry/naming/digest.ts";
import { type Pin, parsePin } from "../../registry/naming/pin.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Manifest } from "../isolate/manifest.ts";
import { verifyManifest } from "../isolate/manifest.ts";
import { type Asked, type AskOptions, createAsk } from "./ask.ts";
import { follow, isRedirect } from "./follow.ts";
import { originError, unusable } from "./origin-error.ts";
import { ASKED_PART, type Attempt, type Held, whileHeld } from "./origin-wait.ts";

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

/** What is wanted of the origin, as `originHeaders` says it. */
export type AskedHeaders = Readonly<Record<string, string>>;

/** Whole with 200; a part with 206; with 416 no body. Not verified yet. */
export interface OriginBlob {
  readonly status: 200 | 206 | 416;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
}

/**
 * All of them throw RegistryError for whatever is no content. What a client waits for is given up
 * when it leaves, which the origin then sees.
 */
export interface Origin {
  /** Waits while the origin says that it is building, or that it is another's turn. */
  manifest(
    repository: string,
    reference: OriginReference,
    asked: AskedHeaders,
  ): Promise<OriginManifest>;
  /**
   * Makes the origin resolve and build a tag, without moving the manifest, whoever leaves: work
   * behind an answer is cut short after 30 s, and the origin builds on. Gives the origin's warning,
   * where it answers at an earlier revision itself.
   */
  refresh(repository: string, tag: Tag, asked: AskedHeaders): Promise<string | undefined>;
  /** Resolves where the origin has a tag list for a name, which is the edge's own to write. */
  listsTags(repository: string, asked: AskedHeaders): Promise<void>;
  blob(method: "GET" | "HEAD", blob: AskedBlob, range: string | null): Promise<OriginBlob>;
  /** The whole, also for others that wait for it: its client's leaving does not end it. */
  wholeBlob(blob: AskedBlob): Promise<OriginBlob>;
}

/** Blobs are the same under every name; but what is not kept is composed again from the name. */
export interface AskedBlob {
  readonly repository: string;
  readonly digest: Digest;
  readonly asked: AskedHeaders;
}

export interface OriginOptions extends AskOptions {
  readonly held: Held;
  /** Whom the origin counts what it is asked to; undefined where nobody knows. */
  readonly network: string | undefined;
  /** Whether it goes where the origin sends it for a blob. */
  readonly follows: boolean;
  /** Why a blob was not had there. */
  readonly onLost: (why: unknown) => void;
  readonly deadlinesMs?: OriginDeadlines;
}

export interface OriginDeadlines {
  /** The origin itself answers before this, with an error that says more. */
  readonly manifestMs: number;
  /** Until the headers of a blob; its body then takes what it takes. */
  readonly blobMs: number;
}

/** The origin is told to answer a slow build before, whatever its operator lets it wait. */
const DEADLINES: OriginDeadlines = { manifestMs: 120_000, blobMs: 30_000 };
/** Some clients stop at about 4 MB. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const WARNING = /^299 - "[\x20\x21\x23-\x5b\x5d-\x7e]{1,500}"$/;

export function createOrigin(options: OriginOptions): Origin {
  const { manifestMs, blobMs } = options.deadlinesMs ?? DEADLINES;
  const { held, network } = options;
  const ask = createAsk(options);

  /** Of what the origin may have to make first. */
  function whenMade<Result>(
    path: string,
    wanted: AskedHeaders,
    read: (response: Response) => Promise<Result>,
  ): Promise<Result> {
    const attempt = ({ signal, leftMs }: Attempt) => {
      const headers = { ...wanted, ...answeredBy(Math.min(leftMs, ASKED_PART * manifestMs)) };
      return ask({ method: "GET", path, headers, deadlineMs: manifestMs, signal, network }, read);
    };
    return whileHeld(attempt, held);
  }

  /** From where the origin sends the edge for it, or else through the origin. */
  async function getBlob({ headers = {}, ...rest }: Omit<Asked, "method">): Promise<OriginBlob> {
    const saying = (word: string): Asked => ({
      ...rest,
      method: "GET",
      headers: { ...headers, [REDIRECTS_HEADER]: word },
    });
    const { url: originUrl = "", follows, fetch, onLost } = options;
    const readOrFollow = async (response: Response, signal: AbortSignal) => {
      if (!isRedirect(response)) return readBlob(response);
      const range = headers.Range ?? null;
      const there = await follow({ fetch, originUrl, onLost }, response, range, signal);
      return there && readBlob(there);
    };
    const followed = follows ? await ask(saying(FOLLOW), readOrFollow) : undefined;
    return followed ?? ask(saying(NEVER), readBlob);
  }

  return {
    manifest(repository, reference, wanted) {
      const last = reference.kind === "tag" ? reference.tag : reference.digest;
      return whenMade(`/v2/${repository}/manifests/${last}`, wanted, async (response) => {
        if (response.status !== 200) throw await originError(response);
        return readManifest(response, reference);
      });
    },
    async refresh(repository, tag, headers) {
      const path = `/v2/${repository}/manifests/${tag}`;
      const asked = { path, headers: { ...headers, ...RESPOND_ASYNC }, deadlineMs: manifestMs };
      const head = await ask({ ...asked, method: "HEAD" }, async (response) => {
        await cancelBody(response.body);
        return { status: response.status, warning: warningOf(response.headers) };
      });
      const { status, warning } = head;
      if (status === 200) return warning;
      if (status !== 404) throw unusable(`status ${status}`);
      // What is unknown, the tag or a package, only the body of a GET says.
      await ask({ ...asked, method: "GET" }, async (response) => {
        if (response.status !== 200) throw await originError(response);
        await cancelBody(response.body);
      });
      return undefined;
    },
    listsTags(repository, wanted) {
      return whenMade(`/v2/${repository}/tags/list`, wanted, async (response) => {
        if (response.status !== 200) throw await originError(response);
        await cancelBody(response.body);
      });
    },
    blob(method, blob, range) {
      const path = blobPath(blob);
      const attempt = async ({ signal }: Attempt) => {
        const asked = { path, headers: blob.asked, deadlineMs: blobMs, signal, network };
        if (method === "HEAD") {
          const headers = { ...blob.asked, [REDIRECTS_HEADER]: NEVER };
          const head = await ask({ ...asked, method, headers }, readHead);
          if (head !== undefined) return head;
          // An answer to HEAD has no body, and only a body says that there is no such blob.
        }
        const headers = { ...blob.asked, ...(range !== null && { Range: range }) };
        return getBlob({ ...asked, headers });
      };
      return whileHeld(attempt, held);
    },
    wholeBlob(blob) {
      const asked = { path: blobPath(blob), headers: blob.asked, deadlineMs: blobMs, network };
      const { signal: stays } = new AbortController();
      const attempt = ({ signal }: Attempt) => getBlob({ ...asked, signal });
      return whileHeld(attempt, { ...held, left: stays });
    },
  };
}

function blobPath({ repository, digest }: AskedBlob): string {
  return `/v2/${repository}/blobs/${digest}`;
}

/** Tells the origin for how long it is waited for: it is asked again, and not left while it works. */
function answeredBy(leftMs: number): AskedHeaders {
  return answeredWithin(Math.max(1, Math.floor(leftMs / 1000)));
}

async function readHead(response: Response): Promise<OriginBlob | undefined> {
  return response.status === 200 ? readBlob(response) : undefined;
}

async function readBlob(response: Response): Promise<OriginBlob> {
  const { status, headers, body } = response;
  if (status !== 200 && status !== 206 && status !== 416) throw await originError(response);
  if (headers.has("Content-Encoding")) {
    await cancelBody(body);
    throw unusable("a coded body");
  }
  return { status, headers, body };
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
  const omitted = v.safeParse(omittedSchema, headers.get(OMITTED_HEADER));
  return {
    manifest,
    pin: parsePin(headers.get(PIN_HEADER) ?? ""),
    packing: parsePackingId(headers.get(PACKING_HEADER) ?? ""),
    warning: warningOf(headers),
    omitted: omitted.success ? omitted.output : undefined,
  };
}

function warningOf(headers: Headers): string | undefined {
  const warning = headers.get("Warning");
  return warning !== null && WARNING.test(warning) ? warning : undefined;
}
