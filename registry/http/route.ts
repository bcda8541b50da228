// The only place that splits a request path, but for those of pages (page-route.ts). Public routes serve
// clients; ingest routes take what the origin backfills. Query strings such as containerd's `?ns=` are
// ignored throughout.

import { type Digest, isForeignDigest, parseDigest } from "../naming/digest.ts";
import { MAX_NAME_LENGTH, type NamedRecipe, parseRepository } from "../naming/recipe.ts";
import { isReferrersTag, parseReference, type Reference } from "../naming/reference.ts";
import { RegistryError } from "./error.ts";

export type Route =
  | { readonly kind: "ping" }
  | {
      readonly kind: "manifest";
      /** As the client spelled it. */
      readonly repository: string;
      readonly recipe: NamedRecipe;
      readonly reference: Reference;
    }
  | {
      readonly kind: "blob";
      readonly repository: string;
      readonly recipe: NamedRecipe;
      readonly digest: Digest;
    }
  | { readonly kind: "tags"; readonly repository: string; readonly recipe: NamedRecipe }
  | { readonly kind: "referrers"; readonly repository: string; readonly recipe: NamedRecipe };

/** What the origin may ask of the edge. All but `part` and `blob` carry bytes that the token binds. */
export type IngestRoute =
  | { readonly kind: "blob"; readonly digest: Digest }
  | { readonly kind: "uploads"; readonly digest: Digest }
  | {
      readonly kind: "part";
      readonly digest: Digest;
      readonly uploadId: string;
      readonly partNumber: number;
    }
  | { readonly kind: "complete"; readonly digest: Digest; readonly uploadId: string }
  | { readonly kind: (typeof POSTED)[number] }
  | { readonly kind: "manifest"; readonly digest: Digest };

/** A name, `/manifests/`, and a reference of the longest kind, every byte percent-encoded. */
const MAX_PATH_LENGTH = 3 * (MAX_NAME_LENGTH * 2 + 512);
/** R2's limit on the parts of one upload. */
const MAX_PARTS = 10_000;

/** Whether a registry answers, be it with an error, and not a web site that shares its address. */
export function isBelowV2(url: URL): boolean {
  const path = decode(boundedPath(url));
  return path === "/v2" || path.startsWith("/v2/");
}

/** Throws RegistryError for a path or a method that no client of a pull registry may use. */
export function parseRoute(method: string, url: URL): Route {
  const path = decode(boundedPath(url));
  if (!isBelowV2(url)) {
    throw new RegistryError("NAME_UNKNOWN", "nothing here: a registry answers below /v2/");
  }
  requireMethod(method, ["GET", "HEAD"], "this registry is pull-only: images are built from names");
  if (path === "/v2" || path === "/v2/") return { kind: "ping" };
  if (path === "/v2/_catalog") {
    throw new RegistryError(
      "NAME_UNKNOWN",
      "images cannot be listed: every combination of packages is one, pulled by the packages' names",
    );
  }

  // Greedy, so that a package may be called `manifests`, `blobs` or `tags`.
  const match = /^\/v2\/(.*)\/(manifests|blobs|tags|referrers)\/([^/]*)$/s.exec(path);
  if (match === null || (match[2] === "tags" && match[3] !== "list")) {
    throw new RegistryError(
      "NAME_UNKNOWN",
      "no such route: below /v2/<name>/ there are manifests/<reference>, blobs/<digest>, tags/list and referrers/<digest>",
    );
  }
  const [, repository = "", resource, last = ""] = match;
  const parsed = parseRepository(repository);
  if (parsed.kind === "invalid") throw new RegistryError("NAME_INVALID", parsed.reason);
  if (resource === "manifests") {
    return { kind: "manifest", repository, recipe: parsed.recipe, reference: reference(last) };
  }
  if (resource === "tags") return { kind: "tags", repository, recipe: parsed.recipe };
  if (resource === "referrers") {
    // Nothing refers to a digest of another algorithm either.
    if (!isForeignDigest(last)) ownDigest(last);
    return { kind: "referrers", repository, recipe: parsed.recipe };
  }
  return { kind: "blob", repository, recipe: parsed.recipe, digest: blobDigest(last) };
}

/** What an edge tells its origin: an extension of a registry's routes (distribution specification, "Extensions"). */
export const PULLED_PATH = "/v2/_nixport/pulled";

export function isTold(url: URL): boolean {
  return url.pathname === PULLED_PATH;
}

const INGEST = "/ingest/";
const POSTED = [
  "records",
  "lookups",
  "pointers",
  "values",
  "removals",
  "index",
  "index-objects",
  "index-patches",
] as const;

export function isIngest(url: URL): boolean {
  return url.pathname.startsWith(INGEST);
}

export function parseIngestRoute(method: string, url: URL): IngestRoute {
  // Split before it is decoded: an upload's id is the storage's own text and may hold a slash.
  const parts = boundedPath(url).slice(INGEST.length).split("/").map(decode);
  const [collection = "", first = "", ...rest] = parts;
  if (collection === "manifests" && rest.length === 0) {
    requireMethod(method, ["PUT"], "a manifest is put");
    return { kind: "manifest", digest: ownDigest(first) };
  }
  if (collection === "blobs") return ingestBlobRoute(method, ownDigest(first), rest);
  if (first === "" && rest.length === 0) {
    const kind = POSTED.find((each) => each === collection);
    if (kind !== undefined) {
      requireMethod(method, ["POST"], `${kind} are posted`);
      return { kind };
    }
  }
  throw new RegistryError("NAME_UNKNOWN", "no such ingest route");
}

export const ingestPath = {
  blob: (digest: Digest) => `${INGEST}blobs/${digest}`,
  uploads: (digest: Digest) => `${INGEST}blobs/${digest}/uploads`,
  part: (digest: Digest, uploadId: string, partNumber: number) =>
    `${INGEST}blobs/${digest}/uploads/${encodeURIComponent(uploadId)}/${partNumber}`,
  complete: (digest: Digest, uploadId: string) =>
    `${INGEST}blobs/${digest}/uploads/${encodeURIComponent(uploadId)}`,
  manifest: (digest: Digest) => `${INGEST}manifests/${digest}`,
  records: `${INGEST}records`,
  lookups: `${INGEST}lookups`,
  pointers: `${INGEST}pointers`,
  /** A package index: its root, and before it what that names. */
  index: `${INGEST}index`,
  indexObjects: `${INGEST}index-objects`,
  indexPatches: `${INGEST}index-patches`,
  /** A question of what is stored, and what of it is to go. */
  values: `${INGEST}values`,
  removals: `${INGEST}removals`,
};

function ingestBlobRoute(method: string, digest: Digest, rest: readonly string[]): IngestRoute {
  const [uploads, uploadId, part, ...more] = rest;
  if (uploads === undefined) {
    requireMethod(method, ["PUT"], "a blob is put");
    return { kind: "blob", digest };
  }
  if (uploads !== "uploads" || more.length > 0) {
    throw new RegistryError("NAME_UNKNOWN", "no such ingest route");
  }
  if (uploadId === undefined) {
    requireMethod(method, ["POST"], "an upload is started by a post");
    return { kind: "uploads", digest };
  }
  if (part === undefined) {
    requireMethod(method, ["POST"], "an upload is completed by a post");
    return { kind: "complete", digest, uploadId };
  }
  requireMethod(method, ["PUT"], "a part is put");
  const partNumber = /^[1-9][0-9]{0,4}$/.test(part) ? Number(part) : 0;
  if (partNumber < 1 || partNumber > MAX_PARTS) {
    throw new RegistryError("BLOB_UPLOAD_INVALID", `part numbers go from 1 to ${MAX_PARTS}`);
  }
  return { kind: "part", digest, uploadId, partNumber };
}

/**
 * The names of the files and folders on a web site that lead to one; the last is "" where a folder
 * itself is asked for. Undefined for what no file may be called by: hidden names, and whatever
 * another reader could take for a way up or elsewhere.
 */
export function parseFilePath(url: URL): readonly string[] | undefined {
  const names = boundedPath(url).slice(1).split("/").map(decode);
  const isWrong = (name: string, index: number) =>
    name === "" ? index < names.length - 1 : /^\.|[/\\\0]/.test(name);
  return names.some(isWrong) ? undefined : names;
}

/** The path as sent. Throws for what cannot name anything here, before anything is looked at. */
export function boundedPath(url: URL): string {
  if (url.pathname.length > MAX_PATH_LENGTH) {
    throw new RegistryError("NAME_INVALID", "the path is longer than any name and reference");
  }
  return url.pathname;
}

export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RegistryError("NAME_INVALID", "the path has a malformed percent-encoding");
  }
}

export function requireMethod(method: string, allowed: readonly string[], reason: string): void {
  if (allowed.includes(method)) return;
  throw new RegistryError("UNSUPPORTED", reason, { headers: { Allow: allowed.join(", ") } });
}

function reference(text: string): Reference {
  const parsed = parseReference(text);
  if (parsed?.kind === "tag" && isReferrersTag(parsed.tag)) {
    throw new RegistryError(
      "MANIFEST_UNKNOWN",
      "no signatures, attestations or other referrers of an image are kept here",
    );
  }
  if (parsed !== undefined) return parsed;
  if (isForeignDigest(text)) {
    throw new RegistryError("MANIFEST_UNKNOWN", "manifests are kept by sha256");
  }
  if (text.includes(":")) throw new RegistryError("DIGEST_INVALID", malformedDigest(text));
  // The specification's list has no code for tags; what cannot be one is not there.
  throw new RegistryError(
    "MANIFEST_UNKNOWN",
    `${JSON.stringify(text.slice(0, 140))} is no tag: up to 128 of A-Z a-z 0-9 _ . -, not starting with . or -`,
  );
}

function blobDigest(text: string): Digest {
  const digest = parseDigest(text);
  if (digest !== undefined) return digest;
  if (isForeignDigest(text)) throw new RegistryError("BLOB_UNKNOWN", "blobs are kept by sha256");
  throw new RegistryError("DIGEST_INVALID", malformedDigest(text));
}

function ownDigest(text: string): Digest {
  const digest = parseDigest(text);
  if (digest === undefined) throw new RegistryError("DIGEST_INVALID", malformedDigest(text));
  return digest;
}

function malformedDigest(text: string): string {
  return `${JSON.stringify(text.slice(0, 140))} is no digest: sha256: and 64 lower-case hex digits`;
}
