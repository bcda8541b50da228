// Where packages come from, and what asking for a tag of it may give.

import { withoutCredentials } from "../../registry/failures/public-text.ts";
import { type Pin, parsePin } from "../../registry/naming/pin.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";

export type Source =
  | { readonly kind: "nixpkgs"; readonly url: string; readonly channel: string }
  /** `latest`: the branch, git tag or commit that is called so; absent, the default branch. */
  | { readonly kind: "git"; readonly url: string; readonly latest?: string }
  /** `url` is a flake reference; its own revision is `latest` unless another is given. */
  | { readonly kind: "flake"; readonly url: string; readonly latest?: string }
  | { readonly kind: "path"; readonly path: string };

export type Resolution =
  | {
      readonly kind: "pinned";
      readonly pin: Pin;
      readonly source: PinnedSource;
      /** The tag is itself the revision: it never needs to be asked for again. */
      readonly immutable: boolean;
    }
  | { readonly kind: "unknown-tag"; readonly message: string }
  /** The remote did not answer; an earlier pin may still do. */
  | { readonly kind: "unreachable"; readonly message: string };

export interface Resolver {
  resolve(tag: Tag): Promise<Resolution>;
  /** Undefined where a remote must be asked, or much must be read. */
  resolveAtOnce(tag: Tag): Promise<Resolution | undefined>;
  /** A source that can be looked at often is; null leaves it to the operator. */
  readonly recheckMs: number | null;
}

export const NIXPKGS_URL = "https://github.com/NixOS/nixpkgs";

/** One line for people: what a start says it serves. */
export function describeSource(source: Source): string {
  switch (source.kind) {
    case "nixpkgs":
      return `nixpkgs ${source.channel}`;
    case "git":
      return `the git repository ${withoutCredentials(source.url)}`;
    case "flake":
      return `the flake ${withoutCredentials(source.url)}`;
    case "path":
      return `the package set at ${source.path}`;
    default:
      return source satisfies never;
  }
}

/** Distinguishes the sources one storage may have served, in the key of a remembered pin. */
export function sourceId(source: Source): string {
  return JSON.stringify(source);
}

/** What no branch or tag can take away: such a tag is a commit. */
export function isCommit(tag: string): boolean {
  return /^[0-9a-f]{40}$/.test(tag);
}

export function unknownTag(tag: Tag, hints: readonly string[]): Resolution {
  return { kind: "unknown-tag", message: `no tag ${JSON.stringify(tag)}: ${hints.join("; ")}` };
}

export function pinOf(text: string): Pin {
  const pin = parsePin(text);
  if (pin === undefined) throw new Error(`not a pin: ${text}`);
  return pin;
}
