// What follows `/manifests/`: a tag or a digest. A colon decides, since no tag may hold one.

import { type Digest, parseDigest } from "./digest.ts";

declare const tagBrand: unique symbol;
export type Tag = string & { readonly [tagBrand]: "Tag" };

export type Reference =
  | { readonly kind: "tag"; readonly tag: Tag }
  | { readonly kind: "digest"; readonly digest: Digest };

const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** The tag of a reference that names none; what it means is the package source's business. */
export const LATEST = "latest" as Tag;

/**
 * By which clients look for what refers to a digest where they do not know, or do not believe, that a
 * registry lists it: the fallback of the distribution specification (`sha256-<hex>`), and cosign's
 * tags, with `.sig`, `.att` or `.sbom` behind it.
 */
const REFERRERS_TAG = /^(?:sha256|sha512|blake3)-[0-9a-f]{64}(?:\.[a-z]{1,16})?$/;

export function isReferrersTag(tag: Tag): boolean {
  return REFERRERS_TAG.test(tag);
}

export function parseTag(text: string): Tag | undefined {
  return TAG.test(text) ? (text as Tag) : undefined;
}

export function parseReference(text: string): Reference | undefined {
  const digest = parseDigest(text);
  if (digest !== undefined) return { kind: "digest", digest };
  const tag = parseTag(text);
  return tag === undefined ? undefined : { kind: "tag", tag };
}
