// Where a person sees how far an image is that is still being made: the address of its page, in what a client
// is told meanwhile and prints.

import type { Tag } from "../naming/reference.ts";
import { isStillBuilding } from "./building.ts";
import { RegistryError } from "./error.ts";
import { pagePath } from "./page-route.ts";

export interface NamedImage {
  /** As the client spelled it. */
  readonly repository: string;
  readonly tag: Tag;
}

/** A host that the request names is its client's own word, and goes into a line that is printed. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/;

/** The same error, unless it says that the image is being made. */
export function withPageAddress(
  error: RegistryError,
  request: Request,
  { repository, tag }: NamedImage,
): RegistryError {
  const { code, message, options } = error;
  const address = addressOf(request, pagePath.image(repository, tag));
  if (address === undefined || !isStillBuilding(options.detail)) return error;
  return new RegistryError(code, `${message}; see ${address}`, options);
}

function addressOf({ url, headers }: Request, path: string): string | undefined {
  const { protocol, host } = new URL(url);
  if (!HOST.test(host)) return undefined;
  // What ends TLS before an origin says so.
  const isSecure = protocol === "https:" || headers.get("X-Forwarded-Proto") === "https";
  return `${isSecure ? "https" : "http"}://${host}${path}`;
}
