// What an operator says of who may pull what: one JSON text for the edge and for an origin by itself. All
// that is wrong with it is told at once, and nothing of a wrong one counts.

import * as v from "valibot";
import { parseJson } from "../http/json.ts";
import type { PasswordHash } from "./password.ts";
import { ANONYMOUS, EVERYONE, KNOWN, parseRule, type Rule } from "./rules.ts";
import { type Written, writtenSchema } from "./written.ts";

/** Somebody with a password or a secret. */
export interface Account {
  readonly hash: PasswordHash;
  readonly groups: readonly string[];
  /** From then on it counts no more. */
  readonly expiresMs: number | null;
  /** Whether it may see how the registry is doing. */
  readonly isOperator: boolean;
}

/** Who signs the tokens of a CI system's jobs. */
export interface Issuer {
  /** As its tokens say it in `iss`. */
  readonly url: string;
  /** What a token must be made for, in `aud`. */
  readonly audience: string;
  /** Where its keys are; null where it says so itself (OpenID Connect Discovery). */
  readonly keysUrl: string | null;
  readonly jobs: readonly Job[];
}

/** Jobs that are known as one account. */
export interface Job {
  readonly name: string;
  /** What a token must say, of each claim one of these; `*` at the end of one stands for anything. */
  readonly claims: ReadonlyMap<string, readonly string[]>;
  readonly groups: readonly string[];
}

export interface AccessSettings {
  readonly accounts: ReadonlyMap<string, Account>;
  readonly issuers: readonly Issuer[];
  readonly rules: readonly Rule[];
  /** For how long one of our own tokens counts. */
  readonly tokenSeconds: number;
  /** Where clients reach the registry; null: as they say in their requests. */
  readonly url: string | null;
}

export type ParsedAccess =
  | { readonly kind: "access"; readonly settings: AccessSettings }
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

const MAX_SETTINGS_LENGTH = 256 * 1024;
const MAX_PROBLEMS = 20;

export function parseAccess(text: string): ParsedAccess {
  if (text.length > MAX_SETTINGS_LENGTH) return invalid([`longer than ${MAX_SETTINGS_LENGTH}`]);
  const json = parseJson(text);
  if (json === undefined) return invalid(["not JSON"]);
  // Else a list would be an object without fields, and so let in who has an account, of whom there is none.
  if (Array.isArray(json)) return invalid(["it: expected Object"]);
  const parsed = v.safeParse(writtenSchema, json);
  if (!parsed.success) return invalid(parsed.issues.map(describe));
  const { output } = parsed;
  const problems = [...repeated(output), ...strangers(output)];
  const rules = output.rules.map((rule, place) =>
    parseRule(rule, `rules.${place}`, (problem) => problems.push(problem)),
  );
  if (problems.length > 0) return invalid(problems);
  return {
    kind: "access",
    settings: {
      accounts: accountsOf(output),
      issuers: output.issuers.map(issuerOf),
      rules,
      tokenSeconds: output.tokenSeconds,
      url: output.url === undefined ? null : new URL(output.url).origin,
    },
  };
}

/** Never what was received: it may be a password in the wrong place. */
function describe(issue: v.BaseIssue<unknown>): string {
  const place = v.getDotPath(issue) ?? "it";
  if (issue.kind !== "schema") return `${place}: ${issue.message}`;
  return `${place}: ${issue.expected === "never" ? "no such field" : `expected ${issue.expected}`}`;
}

function invalid(problems: readonly string[]): ParsedAccess {
  return { kind: "invalid", problems: problems.slice(0, MAX_PROBLEMS) };
}

function accountsOf({ users, robots }: Written): ReadonlyMap<string, Account> {
  const accounts = new Map<string, Account>();
  for (const [each, { password: hash, groups: own, operator }] of Object.entries(users)) {
    accounts.set(each, { hash, groups: own, expiresMs: null, isOperator: operator });
  }
  for (const [each, { secret: hash, groups: own, expires }] of Object.entries(robots)) {
    accounts.set(each, { hash, groups: own, expiresMs: Date.parse(expires), isOperator: false });
  }
  return accounts;
}

function issuerOf({ issuer, audience, keys, jobs }: Written["issuers"][number]): Issuer {
  return {
    ...{ url: issuer, audience, keysUrl: keys ?? null },
    jobs: Object.entries(jobs).map(([each, { claims, groups: own }]) => ({
      ...{ name: each, groups: own },
      claims: new Map(Object.entries(claims)),
    })),
  };
}

/** One name is one account, or a rule for it would be one for somebody else as well. */
function repeated({ users, robots, issuers }: Written): string[] {
  const names = namesIn({ users, robots, issuers });
  const twice = names.filter((each, place) => names.indexOf(each) !== place);
  const urls = issuers.map(({ issuer }) => issuer);
  const issuedTwice = urls.filter((each, place) => urls.indexOf(each) !== place);
  return [
    ...twice.map((each) => `${each}: the name of two accounts`),
    ...issuedTwice.map((each) => `${each}: an issuer twice`),
  ];
}

function namesIn({ users, robots, issuers }: Pick<Written, "users" | "robots" | "issuers">) {
  const jobs = issuers.flatMap((each) => Object.keys(each.jobs));
  return [...Object.keys(users), ...Object.keys(robots), ...jobs];
}

/** A rule for nobody is a mistake: one that refuses would refuse nothing. */
function strangers(written: Written): string[] {
  const { users, robots, issuers, rules } = written;
  const accounts = [
    ...Object.values(users),
    ...Object.values(robots),
    ...issuers.flatMap(({ jobs }) => Object.values(jobs)),
  ];
  const known = new Set([
    ...[EVERYONE, ANONYMOUS, KNOWN],
    ...namesIn(written),
    ...accounts.flatMap((each) => each.groups.map((own) => `@${own}`)),
  ]);
  return rules.flatMap(({ who }, place) =>
    who
      .filter((each) => !known.has(each))
      .map((each) => `rules.${place}.who: ${JSON.stringify(each)}: no account or @group`),
  );
}
