// The gate in front of pages, where an operator has said who may pull what: whoever may not pull an image
// is shown nothing of it, and whoever may pull nothing at all, not what there is. A browser asks its user for
// a name and a password where a page, and not its data, is refused.

import { cancelBody } from "../http/body.ts";
import { PIN_HEADER } from "../http/content.ts";
import { RegistryError } from "../http/error.ts";
import type { PageImage, PageRoute } from "../http/page-route.ts";
import { isShown, noSuchPage } from "../http/page-route.ts";
import { parsePin } from "../naming/pin.ts";
import { identify, shownBy } from "./credentials.ts";
import { type Gate, unshared } from "./gate.ts";
import { mayPull, reachOf, type Visitor } from "./rules.ts";

export async function passPageGate(
  gate: Gate,
  request: Request,
  route: PageRoute,
  answer: () => Promise<Response>,
): Promise<Response> {
  switch (route.kind) {
    case "asset":
      return answer();
    case "home": {
      // It says nothing of what there is. With the word a user asks to be asked who it is.
      const asksForLogin = new URL(request.url).searchParams.has("login");
      const visitor = await visitorOf(gate, request);
      if (asksForLogin && visitor.kind === "anonymous") throw refused(request, visitor);
      return unshared(await answer());
    }
    case "index":
    case "index-object": {
      const visitor = await visitorOf(gate, request);
      if (reachOf(gate.identifying.settings.rules, visitor) === "nothing") {
        throw refused(request, visitor);
      }
      return unshared(await answer());
    }
    case "image":
    case "image-data":
    case "progress":
      return ofImage(gate, request, route, answer);
    case "operator":
    case "operator-data":
      // To others it is a page that there is not, and asks nobody who it is.
      if (!isOperator(gate, await visitorOf(gate, request))) throw noSuchPage();
      return unshared(await answer());
    default:
      return route satisfies never;
  }
}

/** No job of a CI system has the name of an account. */
function isOperator({ identifying }: Gate, visitor: Visitor): boolean {
  if (visitor.kind === "anonymous") return false;
  return identifying.settings.accounts.get(visitor.name)?.isOperator === true;
}

/** As its manifest by tag. An answer that is about an image at a revision says which, by the same header. */
async function ofImage(
  gate: Gate,
  request: Request,
  image: PageImage,
  answer: () => Promise<Response>,
): Promise<Response> {
  const visitor = await visitorOf(gate, request);
  const { rules } = gate.identifying.settings;
  const reach = reachOf(rules, visitor);
  if (reach === "nothing") throw refused(request, visitor);
  if (reach === "everything") return unshared(await answer());
  const expected = await gate.meanings.atTag(image, image.tag);
  if (!mayPull(rules, visitor, expected)) throw refused(request, visitor);
  const response = await answer();
  const pin = parsePin(response.headers.get(PIN_HEADER) ?? "");
  if (pin !== undefined && pin !== expected.pin) {
    const meaning = await gate.meanings.atPin(image, pin);
    if (meaning === undefined || !mayPull(rules, visitor, meaning)) {
      await cancelBody(response.body);
      throw refused(request, visitor);
    }
  }
  return unshared(response);
}

async function visitorOf(gate: Gate, request: Request): Promise<Visitor> {
  const shown = shownBy(request.headers.get("Authorization"));
  const identified = await identify(gate.identifying, shown);
  if (identified.kind === "wrong") {
    throw unauthorized(request, "the name, the password or the token is wrong");
  }
  const { visitor, repositories } = identified;
  // A client's token, which is for pulls of some names.
  if (repositories !== null) throw unauthorized(request, "pages are for a name and a password");
  return visitor;
}

function refused(request: Request, visitor: Visitor): RegistryError {
  if (visitor.kind === "anonymous") return unauthorized(request, "log in to see this");
  return new RegistryError(
    "DENIED",
    `${visitor.name} may not see this: the rules of this registry`,
  );
}

/** Of data a page says itself that one must log in: else every visit would begin with the question. */
function unauthorized(request: Request, message: string): RegistryError {
  const headers = isShown(new URL(request.url))
    ? { "WWW-Authenticate": 'Basic realm="nixport", charset="UTF-8"' }
    : {};
  return new RegistryError("UNAUTHORIZED", message, { headers });
}
