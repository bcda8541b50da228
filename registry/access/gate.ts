// The gate in front of every route of a registry whose operator has said who may pull what: who asks, and
// whether that one may have what it asks for. What a name means is asked of whoever knows (`Meanings`);
// what is decided here is the same at the edge and at an origin by itself.

import { cancelBody } from "../http/body.ts";
import { PIN_HEADER } from "../http/content.ts";
import { RegistryError } from "../http/error.ts";
import type { Route } from "../http/route.ts";
import { type Digest, parseDigest } from "../naming/digest.ts";
import { type Pin, parsePin } from "../naming/pin.ts";
import type { NamedRecipe } from "../naming/recipe.ts";
import { LATEST, type Tag } from "../naming/reference.ts";
import { type Identifying, identify, shownBy } from "./credentials.ts";
import type { Meaning } from "./meaning.ts";
import { mayPull, reachOf, type Visitor } from "./rules.ts";
import { tokenUrl } from "./token-endpoint.ts";

/** A name as a client has written it. */
export interface AskedFor {
  readonly repository: string;
  readonly recipe: NamedRecipe;
}

/** What names mean. Nothing is built for an answer; all of them throw RegistryError where nobody knows. */
export interface Meanings {
  /** Where the tag is, or was when this was last heard of. */
  atTag(name: AskedFor, tag: Tag): Promise<Meaning>;
  /** Undefined where nobody has looked them up at it. */
  atPin(name: AskedFor, pin: Pin): Promise<Meaning | undefined>;
  /** Those of its images that have the digest, or hold what has it. */
  holding(name: AskedFor, digest: Digest): AsyncIterable<Meaning>;
  /** A manifest was given to somebody who may have it, and asks for what it names next. */
  given(name: AskedFor, meaning: Meaning, manifest: Digest): void;
}

export interface Gate {
  readonly identifying: Identifying;
  readonly meanings: Meanings;
}

/** Answers a request that may be answered, or throws UNAUTHORIZED, DENIED or why nobody can tell. */
export async function passGate(
  gate: Gate,
  request: Request,
  route: Route,
  answer: () => Promise<Response>,
): Promise<Response> {
  const visitor = await visitorOf(gate, request, route);
  if (route.kind === "ping") {
    // Clients look here for how to log in, and take what is let in here for all there is to do.
    if (visitor.kind === "anonymous" && !hasOwnToken(request))
      throw unauthorized(gate, request, null);
    return unshared(await answer());
  }
  const { rules } = gate.identifying.settings;
  const reach = reachOf(rules, visitor);
  const refuse = () => refused(gate, request, visitor, route.repository);
  if (reach === "nothing") throw refuse();
  if (reach === "everything") return unshared(await answer());
  const may = (meaning: Meaning) => mayPull(rules, visitor, meaning);
  const deciding = { may, isAnonymous: visitor.kind === "anonymous", refuse, answer };

  switch (route.kind) {
    case "tags":
    case "referrers":
      if (!may(await gate.meanings.atTag(route, LATEST))) throw refuse();
      return unshared(await answer());
    case "manifest": {
      const { reference } = route;
      return reference.kind === "tag"
        ? byTag(gate, { ...route, tag: reference.tag }, deciding)
        : byDigest(gate, { ...route, digest: reference.digest }, deciding);
    }
    case "blob":
      return byDigest(gate, route, deciding);
    default:
      return route satisfies never;
  }
}

interface Deciding {
  readonly isAnonymous: boolean;
  readonly may: (meaning: Meaning) => boolean;
  readonly refuse: () => RegistryError;
  readonly answer: () => Promise<Response>;
}

/** Asked before anything is made for who may not have it, and again where another revision answers. */
async function byTag(
  gate: Gate,
  name: AskedFor & { readonly tag: Tag },
  { may, refuse, answer }: Deciding,
): Promise<Response> {
  const expected = await gate.meanings.atTag(name, name.tag);
  if (!may(expected)) throw refuse();
  const response = await answer();
  const pin = parsePin(response.headers.get(PIN_HEADER) ?? "");
  const meaning = pin === expected.pin ? expected : await meaningAt(gate, name, pin, response);
  if (!may(meaning)) {
    await cancelBody(response.body);
    throw refuse();
  }
  const digest = parseDigest(response.headers.get("Docker-Content-Digest") ?? "");
  if (digest !== undefined) gate.meanings.given(name, meaning, digest);
  return unshared(response);
}

/**
 * A digest is no right to anything: it is only given under a name of whose images one has it or holds it,
 * and that one is allowed.
 */
async function byDigest(
  gate: Gate,
  name: AskedFor & { readonly kind: string; readonly digest: Digest },
  { may, isAnonymous, refuse, answer }: Deciding,
): Promise<Response> {
  let isKnown = false;
  for await (const meaning of gate.meanings.holding(name, name.digest)) {
    isKnown = true;
    if (!may(meaning)) continue;
    const response = await answer();
    if (name.kind === "manifest") gate.meanings.given(name, meaning, name.digest);
    return unshared(response);
  }
  // Of nobody in particular it may be what it would have as somebody.
  if (isKnown || isAnonymous) throw refuse();
  const code = name.kind === "blob" ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN";
  throw new RegistryError(code, `no image of ${name.repository} that is known has ${name.digest}`);
}

async function meaningAt(
  { meanings }: Gate,
  name: AskedFor,
  pin: Pin | undefined,
  response: Response,
): Promise<Meaning> {
  try {
    const meaning = pin && (await meanings.atPin(name, pin));
    if (meaning !== undefined) return meaning;
    const what = `what ${name.repository} means at the revision that answers is not known`;
    throw new RegistryError("UNAVAILABLE", what);
  } catch (error) {
    await cancelBody(response.body);
    throw error;
  }
}

async function visitorOf(gate: Gate, request: Request, route: Route): Promise<Visitor> {
  const name = route.kind === "ping" ? null : route.repository;
  const shown = shownBy(request.headers.get("Authorization"));
  const identified = await identify(gate.identifying, shown);
  if (identified.kind === "wrong") {
    throw unauthorized(gate, request, name, "the name, the password or the token is wrong", [
      "invalid_token",
    ]);
  }
  const { visitor, repositories } = identified;
  if (name !== null && repositories !== null && !repositories.includes(name)) {
    throw unauthorized(gate, request, name, `the token is not for ${name}`, ["insufficient_scope"]);
  }
  return visitor;
}

/** Also of nobody in particular: that one has asked for it as it was told to. */
function hasOwnToken({ headers }: Request): boolean {
  return shownBy(headers.get("Authorization")).kind === "token";
}

/** Who is known is told that it may not; who is not, how to become known. */
function refused(gate: Gate, request: Request, visitor: Visitor, name: string): RegistryError {
  if (visitor.kind === "anonymous") return unauthorized(gate, request, name);
  return new RegistryError(
    "DENIED",
    `${visitor.name} may not pull ${name}: the rules of this registry`,
  );
}

/** RFC 6750 §3, as Docker's clients read it. */
function unauthorized(
  { identifying: { settings, tokenKeys } }: Gate,
  request: Request,
  name: string | null,
  message = "log in to pull this",
  [error]: readonly string[] = [],
): RegistryError {
  const realm = tokenUrl(settings.url ?? new URL(request.url).origin);
  const parameters = [
    ...[`realm="${realm}"`, `service="${tokenKeys.service}"`],
    ...(name === null ? [] : [`scope="repository:${name}:pull"`]),
    ...(error === undefined ? [] : [`error="${error}"`]),
  ];
  const headers = { "WWW-Authenticate": `Bearer ${parameters.join(",")}` };
  return new RegistryError("UNAUTHORIZED", message, { headers });
}

/** What is for some people only is for no cache that others read, and no browser's of who leaves. */
export function unshared(response: Response): Response {
  response.headers.set("Cache-Control", "private, no-store, no-transform");
  response.headers.append("Vary", "Authorization");
  return response;
}
