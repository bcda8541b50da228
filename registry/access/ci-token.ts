// The tokens by which the jobs of CI systems show what they are (OpenID Connect): signed by an issuer that
// the operator has named, made for this registry, and with the claims of a job that is known.

import { decodeJwt, decodeProtectedHeader, errors, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Keys } from "./issuer-keys.ts";
import type { Issuer, Job } from "./settings.ts";

/** RS256 is GitHub's and GitLab's. None of them is shared, so that no key can be taken for another. */
const ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];
const CLOCK_SKEW_SECONDS = 60;
/** GitLab's live for as long as a job may take. */
const MAX_AGE_SECONDS = 86_400;
const MAX_TOKEN_LENGTH = 8192;

/** Told from a password by its looks alone: three parts, the first of them JSON's `{"`. */
export function looksLikeToken(password: string): boolean {
  return (
    password.length <= MAX_TOKEN_LENGTH &&
    /^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(password)
  );
}

/** Undefined for a token that does not count. Throws UNAVAILABLE where nobody can tell. */
export async function verifyCiToken(
  issuers: readonly Issuer[],
  keysOf: Keys,
  token: string,
  nowMs: number,
): Promise<Job | undefined> {
  const issuer = issuerOf(issuers, token);
  if (issuer === undefined) return undefined;
  const keys = await keysOf(issuer, (known) => hasKey(known, token));
  try {
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ALGORITHMS,
      ...{ issuer: issuer.url, audience: issuer.audience },
      clockTolerance: CLOCK_SKEW_SECONDS,
      maxTokenAge: MAX_AGE_SECONDS,
      currentDate: new Date(nowMs),
      requiredClaims: ["exp", "iat", "sub"],
    });
    return issuer.jobs.find((job) => isOf(job, payload));
  } catch {
    return undefined;
  }
}

/** As the token says itself, which is only believed once a key of that issuer has verified it. */
function issuerOf(issuers: readonly Issuer[], token: string): Issuer | undefined {
  try {
    const { iss } = decodeJwt(token);
    return issuers.find(({ url }) => url === iss);
  } catch {
    return undefined;
  }
}

async function hasKey(keys: JWTVerifyGetKey, token: string): Promise<boolean> {
  try {
    const { alg = "", kid } = decodeProtectedHeader(token);
    await keys({ alg, ...(kid !== undefined && { kid }) }, { payload: "", signature: "" });
    return true;
  } catch (error) {
    return !(error instanceof errors.JWKSNoMatchingKey);
  }
}

function isOf({ claims }: Job, payload: Readonly<Record<string, unknown>>): boolean {
  return [...claims].every(([claim, values]) => {
    // Numbers and truths are told as texts, as GitLab does.
    const said = Object.hasOwn(payload, claim) ? payload[claim] : undefined;
    const isText = ["string", "number", "boolean"].includes(typeof said);
    return isText && values.some((value) => isMatch(value, String(said)));
  });
}

function isMatch(value: string, said: string): boolean {
  return value.endsWith("*") ? said.startsWith(value.slice(0, -1)) : said === value;
}
