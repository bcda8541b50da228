// Logs in as clients do: by the token that a challenge says where to get, or by name and password with
// each request.

import * as v from "valibot";
import { cancelBody, readLimited } from "../../registry/http/body.ts";
import { parseJson } from "../../registry/http/json.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface Login {
  /** What a request for a path carries. */
  authorization(path: string): string | undefined;
  /** Whether there is something new to answer a refusal with. */
  answers(refusal: Headers, path: string): Promise<boolean>;
}

const DEADLINE_MS = 30_000;
const MAX_BODY_BYTES = 64 * 1024;

const tokenSchema = v.union([
  v.pipe(
    v.object({ token: v.string() }),
    v.transform(({ token }) => token),
  ),
  v.pipe(
    v.object({ access_token: v.string() }),
    v.transform((body) => body.access_token),
  ),
]);

export function createLogin(credentials: Credentials | null): Login {
  /** By the repository that a path is of: a token is for one, and lives for some minutes. */
  const known = new Map<string, string>();
  const basic = credentials && `Basic ${btoa(`${credentials.user}:${credentials.password}`)}`;
  return {
    authorization: (path) => known.get(scopeOf(path)),
    async answers(refusal, path) {
      const scope = scopeOf(path);
      const challenge = refusal.get("WWW-Authenticate") ?? "";
      if (/^Basic\b/i.test(challenge) && basic !== null) {
        const isNew = known.get(scope) !== basic;
        known.set(scope, basic);
        return isNew;
      }
      const tokenUrl = tokenUrlOf(challenge);
      if (tokenUrl === undefined) return false;
      const token = await fetchToken(tokenUrl, basic);
      if (token === undefined) return false;
      known.set(scope, `Bearer ${token}`);
      return true;
    },
  };
}

function scopeOf(path: string): string {
  return /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1] ?? "";
}

/** Undefined for a challenge that asks for no token, or not from an address to which one sends a password. */
function tokenUrlOf(challenge: string): URL | undefined {
  if (!/^Bearer\b/i.test(challenge)) return undefined;
  const parameters = new Map(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [name, value]),
  );
  const url = URL.parse(parameters.get("realm") ?? "");
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  for (const name of ["service", "scope"]) {
    const value = parameters.get(name);
    if (value !== undefined) url.searchParams.set(name, value);
  }
  return url;
}

async function fetchToken(url: URL, basic: string | null): Promise<string | undefined> {
  const response = await fetch(url, {
    headers: basic === null ? {} : { Authorization: basic },
    redirect: "error",
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  if (response.status !== 200) {
    await cancelBody(response.body);
    return undefined;
  }
  const bytes = await readLimited(response.body, MAX_BODY_BYTES);
  const parsed = v.safeParse(tokenSchema, bytes && parseJson(bytes));
  return parsed.success ? parsed.output : undefined;
}
