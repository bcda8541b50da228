// Who signed what a cache offers: Nix says only that it was none whom it trusts.

import { cancelBody, readLimited } from "../../registry/http/body.ts";
import type { Unsigned } from "./hindrance.ts";

const DEADLINE_MS = 5000;
/** The references of the largest take some 100 kB. */
const MAX_NARINFO_BYTES = 1 << 20;
const MAX_SIGNERS = 4;

/** Names of keys; none where the cache does not answer this program, which has no netrc of Nix's. */
export async function findSigners(
  { cache, path }: Unsigned,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const hash = /^\/nix\/store\/([0-9a-z]{32})-/.exec(path)?.[1];
  if (hash === undefined || !/^https?:\/\//.test(cache)) return [];
  try {
    const limits = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
    const url = `${cache.replace(/\?.*$/, "").replace(/\/+$/, "")}/${hash}.narinfo`;
    const response = await fetch(url, { signal: limits });
    if (response.status !== 200) {
      await cancelBody(response.body);
      return [];
    }
    const bytes = await readLimited(response.body, MAX_NARINFO_BYTES);
    const text = Buffer.from(bytes ?? []).toString();
    return [...text.matchAll(/^Sig: ([^:\s]{1,100}):/gm)]
      .slice(0, MAX_SIGNERS)
      .map(([, key = ""]) => key);
  } catch {
    // It would only have explained more.
    return [];
  }
}
