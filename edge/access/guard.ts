// How the edge tells who its clients are, by the policy in its environment. Without one everybody may pull
// everything; with one that cannot be read nobody may pull anything, for it was meant to keep some out.

import { type Attempts, createAttempts } from "../../registry/access/attempts.ts";
import type { Identifying } from "../../registry/access/credentials.ts";
import { createHoldings, type Holdings } from "../../registry/access/holdings.ts";
import { createIssuerKeys, type IssuerKeys } from "../../registry/access/issuer-keys.ts";
import type { Meaning } from "../../registry/access/meaning.ts";
import { type ParsedAccess, parseAccess } from "../../registry/access/settings.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { Edge } from "../request/edge.ts";

/** What outlives a request. */
export interface AccessMemory {
  /** The policy, which is the same for every request. */
  readonly read: (text: string) => ParsedAccess;
  readonly attempts: Attempts;
  readonly issuerKeys: IssuerKeys;
  readonly holdings: Holdings;
  /** By pin and name, of which it is true for ever. */
  readonly meanings: Map<string, Meaning>;
}

export function createAccessMemory(): AccessMemory {
  let last: { readonly text: string; readonly parsed: ParsedAccess } | undefined;
  return {
    read(text) {
      if (last?.text !== text) last = { text, parsed: parseAccess(text) };
      return last.parsed;
    },
    attempts: createAttempts(),
    issuerKeys: createIssuerKeys(),
    holdings: createHoldings(),
    meanings: new Map(),
  };
}

export interface Guarding {
  readonly memory: AccessMemory;
  readonly policy: string | undefined;
  readonly limiter: RateLimit | undefined;
  readonly network: string | undefined;
  /** What was logged already. */
  readonly told: Set<string>;
}

/** Null where everybody may pull everything. */
export function identifyingFor(
  { memory, policy, limiter, network, told }: Guarding,
  edge: Edge,
  url: string,
): Identifying | null {
  if (policy === undefined || policy.trim() === "") return null;
  const { secretKeys: keys, now, log } = edge;
  const parsed = memory.read(policy);
  const problems = [
    ...(parsed.kind === "invalid" ? parsed.problems : []),
    ...(keys.length === 0 ? ["it needs NIXPORT_SECRET"] : []),
  ];
  if (parsed.kind === "invalid" || problems.length > 0) {
    const problem = `NIXPORT_POLICY: ${problems.join("; ")}`;
    if (!told.has(problem)) log({ level: "error", event: "misconfigured", problem });
    told.add(problem);
    const message = "the operator of this registry has to say again who may pull what";
    throw new RegistryError("UNAVAILABLE", message, { retryAfterSeconds: 300 });
  }
  const { settings } = parsed;
  return {
    ...{ settings, network, now },
    tokenKeys: { keys, service: new URL(settings.url ?? url).host },
    attempts: memory.attempts,
    issuerKeys: memory.issuerKeys,
    fetch: (request) => fetch(request),
    async onWrong(key) {
      log({ level: "warn", event: "a wrong login", network: key });
      try {
        return (await limiter?.limit({ key }))?.success ?? true;
      } catch (cause) {
        log({ level: "warn", event: "limit failed", cause });
        return true;
      }
    },
  };
}
