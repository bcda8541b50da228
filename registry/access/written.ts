// What an operator writes of who may pull what, field by field, as docs/access.md has it.

import * as v from "valibot";
import { isLoopback } from "../http/loopback.ts";
import { type PasswordHash, passwordHashSchema } from "./password.ts";
import { ALL_IMAGES, ANONYMOUS, EVERYONE, KNOWN, type WrittenRule } from "./rules.ts";

export interface Written {
  readonly users: Readonly<
    Record<
      string,
      {
        readonly password: PasswordHash;
        readonly groups: readonly string[];
        readonly operator: boolean;
      }
    >
  >;
  readonly robots: Readonly<
    Record<
      string,
      {
        readonly secret: PasswordHash;
        readonly groups: readonly string[];
        readonly expires: string;
      }
    >
  >;
  readonly issuers: readonly WrittenIssuer[];
  readonly rules: readonly WrittenRule[];
  readonly tokenSeconds: number;
  readonly url?: string | undefined;
}

export interface WrittenIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly keys?: string | undefined;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly claims: Readonly<Record<string, readonly string[]>>;
        readonly groups: readonly string[];
      }
    >
  >;
}

/** Clients take a token without a life for one of 60 s. */
const MIN_TOKEN_SECONDS = 60;
const MAX_TOKEN_SECONDS = 3600;
/** Longer than most pulls take; a client whose token has run out gets another. */
const DEFAULT_TOKEN_SECONDS = 300;
const MAX_ENTRIES = 1000;
const MAX_CLAIMS = 16;

const name = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9](?:[A-Za-z0-9._+$@-]{0,62}[A-Za-z0-9])?$/, "not a name"),
  v.check((text) => ![EVERYONE, ANONYMOUS, KNOWN].includes(text), "a word that stands for others"),
);
const group = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "not a group's name"),
);
const groups = v.optional(v.pipe(v.array(group), v.maxLength(64)), []);
const webUrl = v.pipe(
  v.string(),
  v.check(isWebUrl, "not a URL of https (of http on this machine alone)"),
);
const texts = v.pipe(
  v.array(v.pipe(v.string(), v.nonEmpty(), v.maxLength(500))),
  v.minLength(1),
  v.maxLength(MAX_ENTRIES),
);
const oneOrMore = v.union([
  v.pipe(
    v.string(),
    v.transform((text) => [text]),
  ),
  texts,
]);
const images = v.optional(
  v.strictObject({ names: v.optional(oneOrMore), packages: v.optional(oneOrMore) }),
);
export const writtenSchema: v.GenericSchema<unknown, Written> = v.strictObject({
  users: v.optional(
    v.pipe(
      v.record(
        name,
        v.strictObject({
          password: passwordHashSchema,
          groups,
          operator: v.optional(v.boolean(), false),
        }),
      ),
      v.maxEntries(MAX_ENTRIES),
    ),
    {},
  ),
  robots: v.optional(
    v.pipe(
      v.record(
        name,
        v.strictObject({
          secret: passwordHashSchema,
          groups,
          expires: v.pipe(v.string(), v.check(isTime, "not a time such as 2027-01-31T00:00:00Z")),
        }),
      ),
      v.maxEntries(MAX_ENTRIES),
    ),
    {},
  ),
  issuers: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          issuer: webUrl,
          audience: v.pipe(v.string(), v.nonEmpty(), v.maxLength(500)),
          keys: v.optional(webUrl),
          jobs: v.pipe(
            v.record(
              name,
              v.strictObject({
                claims: v.pipe(
                  v.record(v.pipe(v.string(), v.maxLength(100)), oneOrMore),
                  v.minEntries(1),
                  v.maxEntries(MAX_CLAIMS),
                ),
                groups,
              }),
            ),
            v.minEntries(1),
            v.maxEntries(MAX_ENTRIES),
          ),
        }),
      ),
      v.maxLength(16),
    ),
    [],
  ),
  rules: v.optional(
    v.pipe(
      v.array(v.strictObject({ who: oneOrMore, allow: images, deny: images })),
      v.maxLength(MAX_ENTRIES),
    ),
    // Who has an account may pull, unless something else is said.
    [{ who: [KNOWN], allow: { names: [ALL_IMAGES] } }],
  ),
  tokenSeconds: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(MIN_TOKEN_SECONDS), v.maxValue(MAX_TOKEN_SECONDS)),
    DEFAULT_TOKEN_SECONDS,
  ),
  url: v.optional(v.pipe(webUrl, v.check(isRoot, "not a URL without a path"))),
});

function isTime(text: string): boolean {
  return (
    /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?Z)?$/.test(text) && !Number.isNaN(Date.parse(text))
  );
}

function isWebUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

function isRoot(text: string): boolean {
  return /^https?:\/\/[^/]+\/?$/.test(text);
}
