// Asks a binary cache over HTTP what a store path refers to. A request that went wrong is repeated;
// what a cache says it does not have is absent.

import { setTimeout } from "node:timers/promises";
import { cancelBody, readLimited } from "../../registry/http/body.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { storePathBase } from "../../registry/naming/store-path.ts";
import { fetchProblem } from "../words/fetch-problem.ts";
import { type Narinfo, parseNarinfo } from "./narinfo.ts";

export type NarinfoAnswer =
  | { readonly kind: "found"; readonly narinfo: Narinfo }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

export interface BinaryCache {
  /** Throws the signal's reason when it is aborted, and nothing else. */
  narinfo(path: StorePath, signal: AbortSignal): Promise<NarinfoAnswer>;
}

export interface BinaryCacheOptions {
  /** http or https, with or without a final slash. */
  readonly url: string;
  readonly attempts?: number;
  /** The wait before the second attempt; it doubles from there. */
  readonly retryMs?: number;
  readonly attemptDeadlineMs?: number;
}

const ATTEMPTS = 5;
const RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;
const ATTEMPT_DEADLINE_MS = 30_000;
/** Of the largest, the references of a whole desktop take some 100 kB. */
const MAX_NARINFO_BYTES = 1 << 20;
/** 403 is what a bucket says that may not be listed: Nix itself takes it so. */
const ABSENT: ReadonlySet<number> = new Set([403, 404, 410]);

export function openBinaryCache(options: BinaryCacheOptions): BinaryCache {
  const { attempts = ATTEMPTS, retryMs = RETRY_MS } = options;
  const deadlineMs = options.attemptDeadlineMs ?? ATTEMPT_DEADLINE_MS;
  const base = options.url.replace(/\/+$/, "");
  return {
    async narinfo(path, signal) {
      const url = `${base}/${storePathBase(path).slice(0, 32)}.narinfo`;
      for (let attempt = 1; ; attempt++) {
        const answer = await ask(url, path, deadlineMs, signal);
        if (answer.kind !== "failed" || attempt >= attempts || !answer.again) return answer;
        const waitMs = Math.max(retryMs * 2 ** (attempt - 1), answer.retryAfterMs);
        await untilNextAttempt(Math.min(waitMs, MAX_RETRY_MS), signal);
      }
    },
  };
}

/** Throws the signal's reason, in whose place the timer has an error of its own. */
async function untilNextAttempt(waitMs: number, signal: AbortSignal): Promise<void> {
  await setTimeout(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}

type Attempt =
  | Exclude<NarinfoAnswer, { kind: "failed" }>
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly again: boolean;
      readonly retryAfterMs: number;
    };

async function ask(
  url: string,
  path: StorePath,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<Attempt> {
  const failed = (reason: string, retryAfterMs = 0, again = true): Attempt => ({
    ...{ kind: "failed", reason: `${url}: ${reason}`, again, retryAfterMs },
  });
  try {
    const limits = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
    const response = await fetch(url, { signal: limits });
    if (response.status !== 200) {
      await cancelBody(response.body);
      if (ABSENT.has(response.status)) return { kind: "absent" };
      const again = response.status === 429 || response.status >= 500;
      return failed(`HTTP ${response.status}`, retryAfterMsOf(response), again);
    }
    const bytes = await readLimited(response.body, MAX_NARINFO_BYTES);
    if (bytes === undefined) return failed(`more than ${MAX_NARINFO_BYTES} bytes`, 0, false);
    const narinfo = parseNarinfo(Buffer.from(bytes).toString(), path);
    return typeof narinfo === "string" ? failed(narinfo) : { kind: "found", narinfo };
  } catch (error) {
    signal.throwIfAborted();
    return failed(fetchProblem(error));
  }
}

/** Only in seconds: a date is compared with a clock that may be wrong. */
function retryAfterMsOf(response: Response): number {
  const seconds = Number(response.headers.get("Retry-After") ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}
