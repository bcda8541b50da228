// The paths of what people look at, and of the data that their pages fetch: all but the registry's own, which
// route.ts splits. Query strings are the pages' own to read.

import { type Digest, parseDigest } from "../naming/digest.ts";
import { MAX_NAME_LENGTH, type NamedRecipe, parseRepository } from "../naming/recipe.ts";
import { LATEST, parseTag, type Tag } from "../naming/reference.ts";
import { RegistryError } from "./error.ts";
import { boundedPath, decode, requireMethod } from "./route.ts";

/** An image as a page's path names it: by tag, `latest` where it says none. */
export interface PageImage {
  /** As it was spelled. */
  readonly repository: string;
  readonly recipe: NamedRecipe;
  readonly tag: Tag;
}

export type PageRoute =
  /** `/` */
  | { readonly kind: "home" }
  /** `/assets/<file>`: scripts and styles, by names that hold their hashes. */
  | { readonly kind: "asset"; readonly file: string }
  /** `/i/<name>[:tag]` */
  | ({ readonly kind: "image" } & PageImage)
  /** `/api/images/<name>[:tag]`: the same as data. */
  | ({ readonly kind: "image-data" } & PageImage)
  /** `/api/progress/<name>[:tag]`: an event stream. */
  | ({ readonly kind: "progress" } & PageImage)
  /** `/api/index`: the roots of the package indexes at the default tag. */
  | { readonly kind: "index" }
  /** `/api/index/objects/<digest>` */
  | { readonly kind: "index-object"; readonly digest: Digest }
  /** `/operator`, `/api/operator` */
  | { readonly kind: "operator" | "operator-data" };

/** The first names of paths that are pages' and never a file's of a web site beside them. */
const SECTIONS = ["i", "api", "assets", "operator"];
const FILE = /^[a-z][a-z0-9-]*-[A-Z0-9]{8}\.(?:css|js|svg)$/;
const MAX_SPELLED_LENGTH = MAX_NAME_LENGTH + 1 + 128;

/** Whether a path is a page's, be it one that there is not. */
export function isPage(url: URL): boolean {
  const [, section = ""] = url.pathname.split("/", 2);
  return url.pathname === "/" || SECTIONS.includes(section);
}

/** Whether a web site in place of the page at `/` may have a file of its own there. */
export function isOfSite(url: URL): boolean {
  const [, section = ""] = url.pathname.split("/", 2);
  return section === "" || section === "assets";
}

/** Whether it is for operators alone. */
export function isOperators({ kind }: PageRoute): boolean {
  return kind === "operator" || kind === "operator-data";
}

/** Whether a person reads the answer, be it an error, and no program. */
export function isShown(url: URL): boolean {
  const [, section = ""] = url.pathname.split("/", 2);
  return ["", "i", "operator"].includes(section) && isPage(url);
}

/** Throws RegistryError for a page that there is not. */
export function parsePageRoute(method: string, url: URL): PageRoute {
  requireMethod(method, ["GET", "HEAD"], "pages are only read");
  const [section = "", ...rest] = decode(boundedPath(url)).slice(1).split("/");
  const text = rest.join("/");
  switch (section) {
    case "":
      return { kind: "home" };
    case "assets":
      if (FILE.test(text)) return { kind: "asset", file: text };
      break;
    case "i":
      return { kind: "image", ...imageOf(text) };
    case "operator":
      if (rest.length === 0) return { kind: "operator" };
      break;
    case "api":
      return dataRoute(rest);
  }
  throw noSuchPage();
}

function dataRoute([collection = "", ...rest]: readonly string[]): PageRoute {
  const text = rest.join("/");
  if (collection === "images") return { kind: "image-data", ...imageOf(text) };
  if (collection === "progress") return { kind: "progress", ...imageOf(text) };
  if (collection === "operator" && rest.length === 0) return { kind: "operator-data" };
  if (collection === "index") {
    if (rest.length === 0) return { kind: "index" };
    const digest = parseDigest(rest[1] ?? "");
    if (rest[0] === "objects" && rest.length === 2 && digest !== undefined) {
      return { kind: "index-object", digest };
    }
  }
  throw noSuchPage();
}

/** No name holds a colon, so the first ends it. */
function imageOf(text: string): PageImage {
  if (text.length > MAX_SPELLED_LENGTH) {
    throw new RegistryError("NAME_INVALID", "the address is longer than any name and tag");
  }
  const colon = text.indexOf(":");
  const repository = colon === -1 ? text : text.slice(0, colon);
  const parsed = parseRepository(repository);
  if (parsed.kind === "invalid") throw new RegistryError("NAME_INVALID", parsed.reason);
  const tag = colon === -1 ? LATEST : parseTag(text.slice(colon + 1));
  if (tag === undefined) {
    throw new RegistryError("MANIFEST_UNKNOWN", "a tag follows the colon of an image's address");
  }
  return { repository, recipe: parsed.recipe, tag };
}

/** Also of a page that is not for who asks, and is not to be known of. */
export function noSuchPage(): RegistryError {
  return new RegistryError("NAME_UNKNOWN", "there is no such page");
}

export const pagePath = {
  home: "/",
  index: "/api/index",
  indexObject: (digest: Digest) => `/api/index/objects/${digest}`,
  asset: (file: string) => `/assets/${file}`,
  image: (repository: string, tag: Tag) => `/i/${spelled(repository, tag)}`,
  imageData: (repository: string, tag: Tag) => `/api/images/${spelled(repository, tag)}`,
  progress: (repository: string, tag: Tag) => `/api/progress/${spelled(repository, tag)}`,
  operator: "/operator",
  operatorData: "/api/operator",
};

/** Nothing of a name or a tag needs to be encoded in a path. */
function spelled(repository: string, tag: Tag): string {
  return tag === LATEST ? repository : `${repository}:${tag}`;
}
