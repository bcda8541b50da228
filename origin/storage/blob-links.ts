// Where clients get a blob from a bucket by themselves: its public address, or one that is signed for
// some minutes (V4, with the RSA key of a service account). Google's library signs no HEAD.

import { createHash } from "node:crypto";
import { isYounger } from "../../registry/between/age.ts";
import { recentValues } from "../memory/recent-values.ts";
import type { StorageKey } from "./keys.ts";

export interface BlobLinks {
  /** Undefined where there is none for now: then the blob is streamed. */
  to(key: StorageKey, method: "GET" | "HEAD"): Promise<string | undefined>;
}

/** Signs with the key of the service account, or has Google sign for the account of this machine. */
export interface BlobSigner {
  account(): Promise<string>;
  /** In base64. */
  sign(text: string): Promise<string>;
}

export interface SignedLinksOptions {
  /** As `https://storage.googleapis.com/<bucket>`. */
  readonly bucketUrl: string;
  readonly signer: BlobSigner;
  readonly now: () => number;
  readonly onFailure: (error: unknown) => void;
}

/** As Nixery's. Google looks at it when a request begins. */
const LIFE_SECONDS = 300;
/** One that was signed is given for so long: Google's own signing is a request and has a quota. */
const REUSE_MS = 120_000;
const MAX_SIGNED = 5000;
/** Nothing is said of what a request carries. */
const UNSIGNED = "UNSIGNED-PAYLOAD";
/** Whoever may not sign now may not a moment later either. */
const RETRY_MS = 60_000;

export function publicLinks(bucketUrl: string): BlobLinks {
  return { to: async (key) => `${bucketUrl}/${key}` };
}

export function signedLinks(options: SignedLinksOptions): BlobLinks {
  const { now, onFailure } = options;
  const signed = recentValues<{ readonly url: string; readonly atMs: number }>(MAX_SIGNED);
  let failedMs = Number.NEGATIVE_INFINITY;
  return {
    async to(key, method) {
      const name = `${method} ${key}`;
      const known = signed.lookup(name);
      if (known && isYounger(known.atMs, now(), REUSE_MS)) return known.url;
      if (isYounger(failedMs, now(), RETRY_MS)) return undefined;
      try {
        const atMs = now();
        const url = await signUrl(options, key, method, atMs);
        signed.store(name, { url, atMs });
        return url;
      } catch (error) {
        failedMs = now();
        onFailure(error);
        return undefined;
      }
    },
  };
}

/** https://cloud.google.com/storage/docs/authentication/signatures */
async function signUrl(
  { bucketUrl, signer }: SignedLinksOptions,
  key: StorageKey,
  method: string,
  atMs: number,
): Promise<string> {
  const url = new URL(`${bucketUrl}/${key}`);
  const time = new Date(atMs).toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/auto/storage/goog4_request`;
  // In the order of their names, as they are signed.
  const query = new URLSearchParams({
    "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
    "X-Goog-Credential": `${await signer.account()}/${scope}`,
    "X-Goog-Date": time,
    "X-Goog-Expires": String(LIFE_SECONDS),
    "X-Goog-SignedHeaders": "host",
  });
  const request = [method, url.pathname, query, `host:${url.hostname}`, "", "host", UNSIGNED];
  const digest = createHash("sha256").update(request.join("\n")).digest("hex");
  const text = ["GOOG4-RSA-SHA256", time, scope, digest].join("\n");
  const signature = Buffer.from(await signer.sign(text), "base64").toString("hex");
  return `${url.href}?${query}&X-Goog-Signature=${signature}`;
}
