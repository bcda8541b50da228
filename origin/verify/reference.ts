// An image of a registry, as a person names it to a command.

import { isLoopback } from "../../registry/http/loopback.ts";
import { parseRepository } from "../../registry/naming/recipe.ts";
import { LATEST, parseTag, type Tag } from "../../registry/naming/reference.ts";

export interface ImageReference {
  /** `http://127.0.0.1:8787`, without a final slash. */
  readonly registryUrl: string;
  readonly name: string;
  readonly tag: Tag;
}

/**
 * As Docker reads a reference: what stands before the first slash is a host if it has a dot or a
 * colon or is `localhost`. A package such as `python3packages.numpy` in front needs --registry.
 * Else what is wrong with it.
 */
export function parseReference(
  text: string,
  registry: string | null,
  defaultUrl: string,
): ImageReference | string {
  const [first = "", ...rest] = text.split("/");
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const hasHost = registry === null && isHost;
  const [, name = "", tagText = LATEST] =
    /^([^:@]+)(?::([^:@/]+))?$/.exec(hasHost ? rest.join("/") : text) ?? [];
  const tag = parseTag(tagText);
  if (name === "" || tag === undefined) return "is no image and tag of a registry";
  const named = parseRepository(name);
  if (named.kind === "invalid") return named.reason;
  const url = URL.parse(hasHost ? urlOf(first) : (registry ?? defaultUrl));
  if (url === null || !/^https?:$/.test(url.protocol)) return "an http or https URL is needed";
  return { registryUrl: url.origin, name, tag };
}

function urlOf(host: string): string {
  const hostname = URL.parse(`http://${host}`)?.hostname ?? "";
  return `${isLoopback(hostname) ? "http" : "https"}://${host}`;
}
