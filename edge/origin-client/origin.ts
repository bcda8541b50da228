// What is asked of the origin, by `ask.ts` alone, and of which of several, as `origins.ts` says. A request
// carries nothing of the client's but a range; of an answer only what was checked goes on. Absence is what
// the origin itself says in a registry error; everything else that is no content is 503.

import type { Meaning } from "../../registry/access/meaning.ts";
import type { PulledBody, PulledImage } from "../../registry/between/pulled-images.ts";
import { FOLLOW, NEVER, REDIRECTS_HEADER } from "../../registry/between/redirects.ts";
import { cancelBody } from "../../registry/http/body.ts";
import type { ImageAnswer } from "../../registry/http/image-answer.ts";
import type { OperatorView } from "../../registry/http/operator-view.ts";
import { pagePath } from "../../registry/http/page-route.ts";
import { answeredWithin, RESPOND_ASYNC } from "../../registry/http/prefer.ts";
import { PULLED_PATH } from "../../registry/http/route.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Asked } from "./ask.ts";
import { follow, isRedirect } from "./follow.ts";
import { type AskedMeaning, askMeaning, readMeanings } from "./meanings.ts";
import {
  type OriginBlob,
  type OriginManifest,
  type OriginReference,
  readBlob,
  readEventStream,
  readHead,
  readImageAnswer,
  readManifest,
  readOperatorView,
  warningOf,
} from "./origin-answer.ts";
import { originError, unusable } from "./origin-error.ts";
import { ASKED_PART, type Attempt, type Held, whileHeld } from "./origin-wait.ts";
import { createOrigins, type OneOrigin, type OriginsOptions } from "./origins.ts";

/** What is wanted of the origin, as `originHeaders` says it. */
export type AskedHeaders = Readonly<Record<string, string>>;

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
  /**
   * What a name means at a tag, at a pin, or where an image of it holds a digest: at least one, but for a
   * digest that none holds.
   */
  meanings(name: AskedMeaning, asked: AskedHeaders): Promise<readonly Meaning[]>;
  /** What the origin knows of an image, by the path of its data, with nothing made for it. */
  image(repository: string, path: string, asked: AskedHeaders): Promise<ImageAnswer>;
  /** Of one of them, where there are several. */
  operatorView(): Promise<OperatorView>;
  /** What its feed says of an image, for as long as the client stays. */
  progress(repository: string, tag: Tag): Promise<ReadableStream<Uint8Array>>;
  blob(method: "GET" | "HEAD", blob: AskedBlob, range: string | null): Promise<OriginBlob>;
  /** The whole, also for others that wait for it: its client's leaving does not end it. */
  wholeBlob(blob: AskedBlob): Promise<OriginBlob>;
  /** Of images that were answered without it. */
  tellPulled(images: readonly PulledImage[]): Promise<void>;
}

/** Blobs are the same under every name; but what is not kept is composed again from the name. */
export interface AskedBlob {
  readonly repository: string;
  readonly digest: Digest;
  readonly asked: AskedHeaders;
}

export interface OriginOptions extends OriginsOptions {
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
/**
 * Where another origin can be asked: so soon it has to answer, if only that it is still at work. Clients
 * that give up after 30 s then hear from the second.
 */
const FOR_ONE_OF_SEVERAL: OriginDeadlines = { manifestMs: 20_000, blobMs: 10_000 };
/** It looks into what it has, and a person waits. */
const IMAGE_DEADLINE_MS = 10_000;
/** Work behind an answer is cut short after 30 s. */
const TELL_DEADLINE_MS = 10_000;

export function createOrigin(options: OriginOptions): Origin {
  const { manifestMs, blobMs } = deadlinesOf(options);
  const { held, network } = options;
  const origins = createOrigins(options);

  /** Of what the origin may have to make first. */
  function whenMade<Result>(
    repository: string,
    rest: string,
    wanted: AskedHeaders,
    read: (response: Response) => Promise<Result>,
    maybeElsewhere = false,
  ): Promise<Result> {
    const path = `/v2/${repository}/${rest}`;
    const attempt = ({ signal, leftMs }: Attempt) => {
      const headers = { ...wanted, ...answeredBy(Math.min(leftMs, ASKED_PART * manifestMs)) };
      const asked: Asked = {
        method: "GET",
        path,
        headers,
        deadlineMs: manifestMs,
        signal,
        network,
      };
      const turn = { repository, maybeElsewhere, signal };
      return origins.inTurn(turn, ({ ask }) => ask(asked, read));
    };
    return whileHeld(attempt, held);
  }

  /** Of what it only has to look up, for as long as the client stays. */
  function getInTurn<Result>(
    repository: string,
    asked: Omit<Asked, "method" | "signal" | "network">,
    read: (response: Response) => Promise<Result>,
  ): Promise<Result> {
    const { left: signal } = held;
    return origins.inTurn({ repository, maybeElsewhere: false, signal }, ({ ask }) =>
      ask({ ...asked, method: "GET", signal, network }, read),
    );
  }

  /** From where the origin sends the edge for it, or else through the origin. */
  async function getBlob(
    { url: originUrl, ask }: OneOrigin,
    { headers = {}, ...rest }: Omit<Asked, "method">,
  ): Promise<OriginBlob> {
    const saying = (word: string): Asked => ({
      ...rest,
      method: "GET",
      headers: { ...headers, [REDIRECTS_HEADER]: word },
    });
    const { follows, fetch, onLost } = options;
    const wasWrong = (why: Error) => origins.distrust(originUrl, why);
    const readOrFollow = async (response: Response, signal: AbortSignal) => {
      if (!isRedirect(response)) return readBlob(response, wasWrong);
      const range = headers.Range ?? null;
      const there = await follow({ fetch, originUrl, onLost }, response, range, signal);
      return there && readBlob(there, onLost);
    };
    const followed = follows ? await ask(saying(FOLLOW), readOrFollow) : undefined;
    return followed ?? ask(saying(NEVER), (response) => readBlob(response, wasWrong));
  }

  function blobAsked({ repository, digest, asked: wanted }: AskedBlob, range: string | null) {
    const headers = {
      ...wanted,
      ...answeredBy(ASKED_PART * blobMs),
      ...(range !== null && { Range: range }),
    };
    return { path: `/v2/${repository}/blobs/${digest}`, headers, deadlineMs: blobMs, network };
  }

  return {
    manifest(repository, reference, wanted) {
      const isDigest = reference.kind === "digest";
      const last = isDigest ? reference.digest : reference.tag;
      const read = (response: Response) => readManifest(response, reference);
      return whenMade(repository, `manifests/${last}`, wanted, read, isDigest);
    },
    refresh(repository, tag, headers) {
      const path = `/v2/${repository}/manifests/${tag}`;
      const asked = { path, headers: { ...headers, ...RESPOND_ASYNC }, deadlineMs: manifestMs };
      return origins.inTurn({ repository, maybeElsewhere: false }, async ({ ask }) => {
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
      });
    },
    listsTags(repository, wanted) {
      return whenMade(repository, "tags/list", wanted, async (response) => {
        if (response.status !== 200) throw await originError(response);
        await cancelBody(response.body);
      });
    },
    meanings(name, wanted) {
      const { rest, headers } = askMeaning(name);
      const maybeElsewhere = name.where.kind !== "tag";
      const asked = { ...wanted, ...headers };
      return whenMade(name.repository, rest, asked, readMeanings, maybeElsewhere);
    },
    image(repository, path, headers) {
      return getInTurn(
        repository,
        { path, headers, deadlineMs: IMAGE_DEADLINE_MS },
        readImageAnswer,
      );
    },
    operatorView() {
      const asked = { path: pagePath.operatorData, deadlineMs: IMAGE_DEADLINE_MS };
      return getInTurn("", asked, readOperatorView);
    },
    progress(repository, tag) {
      const asked = { path: pagePath.progress(repository, tag), deadlineMs: blobMs };
      return getInTurn(repository, asked, readEventStream);
    },
    blob(method, blob, range) {
      const asked = blobAsked(blob, method === "HEAD" ? null : range);
      const attempt = ({ signal }: Attempt) =>
        origins.inTurn({ ...blob, maybeElsewhere: true, signal }, async (one) => {
          if (method === "HEAD") {
            const headers = { ...asked.headers, [REDIRECTS_HEADER]: NEVER };
            const head = await one.ask({ ...asked, method, headers, signal }, readHead);
            if (head !== undefined) return head;
            // An answer to HEAD has no body, and only a body says that there is no such blob.
          }
          return getBlob(one, { ...asked, signal });
        });
      return whileHeld(attempt, held);
    },
    wholeBlob(blob) {
      const asked = blobAsked(blob, null);
      const { signal: stays } = new AbortController();
      const attempt = ({ signal }: Attempt) =>
        origins.inTurn({ ...blob, maybeElsewhere: true, signal }, (one) =>
          getBlob(one, { ...asked, signal }),
        );
      return whileHeld(attempt, { ...held, left: stays });
    },
    async tellPulled(images) {
      const told: PulledBody = { images };
      const body = JSON.stringify(told);
      const headers = { "Content-Type": "application/json" };
      const asked = { method: "POST", path: PULLED_PATH, headers, body } as const;
      await origins.each(({ ask }) =>
        ask({ ...asked, deadlineMs: TELL_DEADLINE_MS }, async (response) => {
          await cancelBody(response.body);
          if (!response.ok) throw unusable(`status ${response.status}`);
        }),
      );
    },
  };
}

function deadlinesOf({ urls, deadlinesMs = DEADLINES }: OriginOptions): OriginDeadlines {
  if (urls.length < 2) return deadlinesMs;
  return {
    manifestMs: Math.min(deadlinesMs.manifestMs, FOR_ONE_OF_SEVERAL.manifestMs),
    blobMs: Math.min(deadlinesMs.blobMs, FOR_ONE_OF_SEVERAL.blobMs),
  };
}

/** Tells the origin for how long it is waited for: it is asked again, and not left while it works. */
function answeredBy(leftMs: number): AskedHeaders {
  return answeredWithin(Math.max(1, Math.floor(leftMs / 1000)));
}
