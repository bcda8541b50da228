// `/token`: where a client that was challenged shows who it is and gets a token (Docker's token
// authentication; its OAuth 2 form, by which containerd asks first). Nobody in particular gets one too,
// where the rules let anybody pull something.

import { jsonResponse } from "../http/answer.ts";
import { readLimited } from "../http/body.ts";
import { RegistryError } from "../http/error.ts";
import { signAccessToken } from "./access-token.ts";
import { type Identifying, identifyForToken, type Shown, shownBy } from "./credentials.ts";
import { reachOf, type Visitor } from "./rules.ts";

const TOKEN_PATH = "/token";
const MAX_SCOPES = 16;
const MAX_SCOPE_LENGTH = 600;
const MAX_FORM_BYTES = 16 * 1024;

export function isTokenRequest({ pathname }: URL): boolean {
  return pathname === TOKEN_PATH;
}

export function tokenUrl(base: string): string {
  return base + TOKEN_PATH;
}

interface Asked {
  readonly shown: Shown;
  readonly service: string | null;
  readonly scopes: readonly string[];
}

export async function answerToken(
  options: Identifying,
  request: Request,
  url: URL,
): Promise<Response> {
  const { settings, tokenKeys, now } = options;
  const { shown, service, scopes } = await readAsked(request, url);
  if (service !== null && service !== "" && service !== tokenKeys.service) {
    throw new RegistryError("UNAUTHORIZED", `tokens of ${tokenKeys.service} are given here alone`);
  }
  const identified = await identifyForToken(options, shown);
  if (identified.kind === "wrong") {
    throw new RegistryError("UNAUTHORIZED", "the name, the password or the token is wrong");
  }
  const { visitor } = identified;
  requireSomething(options, visitor);
  const token = await signAccessToken(
    tokenKeys,
    {
      name: visitor.kind === "known" ? visitor.name : null,
      repositories: repositoriesOf(scopes),
    },
    settings.tokenSeconds,
    now(),
  );
  return jsonResponse(
    {
      ...{ token, access_token: token, expires_in: settings.tokenSeconds },
      issued_at: new Date(now()).toISOString(),
    },
    request.method,
  );
}

/** A token by which nothing can be had would only put off the message. */
function requireSomething({ settings: { rules } }: Identifying, visitor: Visitor): void {
  if (visitor.kind === "known" || reachOf(rules, visitor) !== "nothing") return;
  throw new RegistryError("UNAUTHORIZED", "log in first: nothing here is for everybody");
}

async function readAsked(request: Request, url: URL): Promise<Asked> {
  const shown = shownBy(request.headers.get("Authorization"));
  switch (request.method) {
    case "GET":
    case "HEAD":
      return asked(url.searchParams, shown, url.searchParams.getAll("scope"));
    case "POST": {
      const form = await readForm(request);
      const scopes = form.getAll("scope").flatMap((each) => each.split(" "));
      return asked(form, shown.kind === "nothing" ? shownByForm(form) : shown, scopes);
    }
    default:
      throw new RegistryError("UNSUPPORTED", "a token is asked for by GET or POST", {
        headers: { Allow: "GET, HEAD, POST" },
      });
  }
}

function asked(said: URLSearchParams, shown: Shown, scopes: readonly string[]): Asked {
  return { shown, service: said.get("service"), scopes };
}

async function readForm(request: Request): Promise<URLSearchParams> {
  const bytes = await readLimited(request.body, MAX_FORM_BYTES);
  if (bytes === undefined) throw new RegistryError("SIZE_INVALID", "the form is too long");
  return new URLSearchParams(new TextDecoder().decode(bytes));
}

function shownByForm(form: URLSearchParams): Shown {
  const grant = form.get("grant_type");
  const [name, password] = [form.get("username"), form.get("password")];
  if (grant === "password" && name !== null && password !== null) {
    return { kind: "password", name, password };
  }
  // Clients that are told so ask by GET instead.
  throw new RegistryError("UNSUPPORTED", "only a name and a password are taken here", {
    headers: { Allow: "GET, HEAD" },
  });
}

/** `repository:<name>:pull`, in which clients may ask for more than that. */
function repositoriesOf(scopes: readonly string[]): readonly string[] {
  if (scopes.length > MAX_SCOPES || scopes.some((scope) => scope.length > MAX_SCOPE_LENGTH)) {
    throw new RegistryError("DENIED", `a token is for ${MAX_SCOPES} names at most`);
  }
  const names = scopes.flatMap((scope) => {
    const match = /^repository(?:\([^)]*\))?:([a-z0-9._/-]+):([a-z,*]+)$/.exec(scope);
    const takesPull = (match?.[2] ?? "").split(",").some((each) => each === "pull" || each === "*");
    return takesPull ? [match?.[1] ?? ""] : [];
  });
  return [...new Set(names)];
}
