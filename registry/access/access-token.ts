// The registry's own tokens, which a client that has shown who it is gets for some repositories and a few
// minutes (distribution specification of tokens, JWT). They say who was there, and never what that one
// may do: the rules are asked with each request, so that a change of them counts at once.

import { jwtVerify, SignJWT } from "jose";
import type { SecretKey } from "../between/token.ts";

export interface AccessToken {
  /** The account's; null of who has none. */
  readonly name: string | null;
  /** As clients spell them: a token for one is none for another. */
  readonly repositories: readonly string[];
}

export interface TokenKeys {
  /** The first signs; all verify. */
  readonly keys: readonly SecretKey[];
  /** For whom tokens are: those of one deployment are nothing to another. */
  readonly service: string;
}

const ISSUER = "nixport-access";
/** Between the machines of one deployment, of which any verifies what another has signed. */
const CLOCK_SKEW_SECONDS = 60;
const MAX_NAME_LENGTH = 255;

export async function signAccessToken(
  { keys, service }: TokenKeys,
  { name, repositories }: AccessToken,
  lifeSeconds: number,
  nowMs: number,
): Promise<string> {
  const [key] = keys;
  if (key === undefined) throw new Error("no key to sign with");
  const nowSeconds = Math.floor(nowMs / 1000);
  const access = repositories.map((each) => ({
    ...{ type: "repository", name: each, actions: ["pull"] },
  }));
  const token = new SignJWT({ access })
    .setProtectedHeader({ alg: "HS256", kid: key.id, typ: "JWT" })
    .setIssuer(ISSUER)
    .setAudience(service)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + lifeSeconds);
  if (name !== null) token.setSubject(name);
  return token.sign(await ownKey(key));
}

/** Undefined for one that does not count, whatever is wrong with it. */
export async function verifyAccessToken(
  { keys, service }: TokenKeys,
  token: string,
  maxLifeSeconds: number,
  nowMs: number,
): Promise<AccessToken | undefined> {
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        const key = keys.find((candidate) => candidate.id === kid);
        if (key === undefined) throw new Error("unknown key id");
        return ownKey(key);
      },
      {
        algorithms: ["HS256"],
        ...{ issuer: ISSUER, audience: service },
        clockTolerance: CLOCK_SKEW_SECONDS,
        // Without it a date of issue to come counts.
        maxTokenAge: maxLifeSeconds,
        currentDate: new Date(nowMs),
        requiredClaims: ["exp", "iat", "access"],
      },
    );
    const { sub, access } = payload;
    return { name: sub ?? null, repositories: repositoriesOf(access) };
  } catch {
    return undefined;
  }
}

function repositoriesOf(access: unknown): readonly string[] {
  if (!Array.isArray(access)) return [];
  return access.flatMap((each: { readonly name?: unknown }) =>
    typeof each.name === "string" && each.name.length <= MAX_NAME_LENGTH ? [each.name] : [],
  );
}

/** Not the shared secret itself: what is signed with that, edge and origin take for each other's word. */
async function ownKey({ bytes }: SecretKey): Promise<Uint8Array> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const copy = new Uint8Array(bytes);
  const key = await crypto.subtle.importKey("raw", copy, algorithm, false, ["sign"]);
  const purpose = new TextEncoder().encode("nixport access tokens");
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, purpose));
}
