// Which of several origins is asked, and which when that one fails: in the order that an image has of its
// own (ranking.ts), those that lately failed last, and until one gives an answer that counts for all.

import * as v from "valibot";
import { cancelBody } from "../../registry/http/body.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { OriginHealth } from "../isolate/origin-health.ts";
import { type Ask, type AskOptions, createAsk } from "./ask.ts";
import { OriginFailure } from "./origin-error.ts";
import { ranking } from "./ranking.ts";

export interface OriginsOptions extends Omit<AskOptions, "url"> {
  readonly urls: readonly string[];
  readonly health: OriginHealth;
  readonly later: (event: string, work: () => Promise<unknown>) => void;
  /** It is asked no more for a while, since there are others. */
  readonly onPassedOver: (url: string, forMs: number, cause: unknown) => void;
  readonly onBack: (url: string) => void;
}

/** One that is asked. */
export interface OneOrigin {
  readonly url: string;
  readonly ask: Ask;
}

export interface Turn {
  /** As a client spelled it: any spelling of a recipe leads to the same origin, for all its platforms. */
  readonly repository: string;
  /** Whether another may have what one lacks: what is named by its digest. */
  readonly maybeElsewhere: boolean;
  /** Aborted when nobody waits for it any more. */
  readonly signal?: AbortSignal;
}

export interface Origins {
  /** Has them attempt it one after the other, until one gives an answer that counts. */
  inTurn<Result>(turn: Turn, attempt: (origin: OneOrigin) => Promise<Result>): Promise<Result>;
  /** Has each of them attempt it, whatever the others say; throws what one of them could not do. */
  each(attempt: (origin: OneOrigin) => Promise<void>): Promise<void>;
  /** What it gave was found to be wrong later. */
  distrust(url: string, why: Error): void;
}

const PING_DEADLINE_MS = 5_000;

export function createOrigins(options: OriginsOptions): Origins {
  const { urls, health, now, later } = options;

  function failed(url: string, cause: unknown): void {
    // Nobody would be asked before it.
    if (urls.length === 1) return;
    const forMs = health.failed(url, now());
    if (forMs !== undefined) options.onPassedOver(url, forMs, cause);
  }

  function succeeded(url: string, wasPassedOver: boolean): void {
    if (wasPassedOver) options.onBack(url);
  }

  /** Behind an answer, so that no client waits for one that is still gone. */
  async function trial(url: string): Promise<void> {
    const ping = { method: "GET", path: "/v2/", deadlineMs: PING_DEADLINE_MS } as const;
    try {
      const status = await createAsk({ ...options, url })(ping, async (response) => {
        await cancelBody(response.body);
        return response.status;
      });
      if (status === 200) succeeded(url, health.reached(url));
      else failed(url, new Error(`the origin answered ${status} to a ping`));
    } catch (cause) {
      failed(url, cause);
    }
  }

  /** Those that lately failed come last: none of them is waited for while another answers. */
  function asked(ranked: readonly string[]): readonly string[] {
    const trusted = ranked.filter((url) => health.isTrusted(url));
    const others = ranked.filter((url) => !trusted.includes(url));
    for (const url of others) {
      if (health.claimTrial(url, now())) later("trial", () => trial(url));
    }
    return [...trusted, ...others];
  }

  return {
    async inTurn({ repository, maybeElsewhere, signal }, attempt) {
      let failure: RegistryError | undefined;
      let hindrance: RegistryError | undefined;
      let absence: RegistryError | undefined;
      for (const url of asked(await ranking(urls, repository))) {
        try {
          const result = await attempt({ url, ask: createAsk({ ...options, url }) });
          succeeded(url, health.answered(url));
          return result;
        } catch (error) {
          if (!(error instanceof RegistryError) || signal?.aborted) throw error;
          if (error instanceof OriginFailure) {
            failed(url, error);
            failure ??= error;
            continue;
          }
          succeeded(url, health.answered(url));
          if (isOfItsHost(error)) hindrance ??= error;
          else if (maybeElsewhere && error.status === 404) absence ??= error;
          else throw error;
        }
      }
      // What an origin says of itself tells more than that another cannot be reached.
      const whyNot = hindrance ?? failure;
      if (absence === undefined) throw whyNot ?? nowhere();
      if (whyNot === undefined) throw absence;
      const message = `${absence.message}, and not every origin can be asked for it; try again`;
      throw new RegistryError("UNAVAILABLE", message, { cause: whyNot.cause });
    },
    async each(attempt) {
      const told = urls.map((url) => attempt({ url, ask: createAsk({ ...options, url }) }));
      for (const result of await Promise.allSettled(told)) {
        if (result.status === "rejected") throw result.reason;
      }
    },
    distrust: failed,
  };
}

function nowhere(): OriginFailure {
  return new OriginFailure(" cannot be reached", new Error("ORIGIN_URL names no origin"));
}

/** What another origin may well be able to do, unlike a build that takes too long. */
const OF_A_HOST = [
  "host-failed",
  "cache-failed",
  "source-unreachable",
  "unreachable",
  "nix-too-old",
  "cancelled",
] as const;
const hostSchema = v.tuple([v.object({ reason: v.picklist(OF_A_HOST) })]);

function isOfItsHost({ code, options: { detail } }: RegistryError): boolean {
  return code === "UNAVAILABLE" && (detail === undefined || v.is(hostSchema, detail));
}
