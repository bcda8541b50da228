// The Worker's bindings, and the settings read from them. wrangler.toml says what each is for.

import { parseSecretKeys, type SecretKey } from "../registry/token.ts";

export interface Env {
  readonly KV: KVNamespace;
  readonly R2: R2Bucket;
  readonly MISS_LIMIT?: RateLimit;
  readonly ORIGIN_URL?: string;
  readonly NIXPORT_SECRET?: string;
  readonly PIN_FRESH_SECONDS?: string;
}

export interface Settings {
  readonly secretKeys: readonly SecretKey[];
  readonly pinFreshMs: number;
  /** What is wrong with the environment. Pulls of what is cached go on all the same. */
  readonly problem: string | undefined;
}

const DEFAULT_PIN_FRESH_SECONDS = 300;

export function readSettings({ NIXPORT_SECRET, PIN_FRESH_SECONDS }: Env): Settings {
  const problems: string[] = [];
  const keys = NIXPORT_SECRET ? parseSecretKeys(NIXPORT_SECRET) : [];
  if (typeof keys === "string") problems.push(`NIXPORT_SECRET: ${keys}`);

  const text = PIN_FRESH_SECONDS ?? "";
  const isNumber = /^\d{1,9}$/.test(text);
  if (text !== "" && !isNumber) problems.push("PIN_FRESH_SECONDS: not a number of seconds");
  return {
    secretKeys: typeof keys === "string" ? [] : keys,
    pinFreshMs: 1000 * (isNumber ? Number(text) : DEFAULT_PIN_FRESH_SECONDS),
    problem: problems.length > 0 ? problems.join("; ") : undefined,
  };
}
