// Tag to pin, for each kind of source: which tags there are, and what `latest` is.

import type { Tag } from "../../registry/naming/reference.ts";
import type { EvaluatingNix } from "../nix/run-evaluation.ts";
import { lockFlake } from "./flake-metadata.ts";
import { parseFlakeReference } from "./flake-reference.ts";
import { openGitRemote } from "./git-remote.ts";
import { LARGE_TREE_RECHECK_MS, type LocalTree, openLocalTree } from "./local-tree.ts";
import { narHash } from "./nar-hash.ts";
import { resolverOfRemote } from "./remote-resolver.ts";
import { pinOf, type Resolution, type Resolver, type Source, unknownTag } from "./source.ts";

/** What git runs in: PATH, HOME, the ssh agent. */
export type Environment = Readonly<Record<string, string>>;

export interface ResolverOptions {
  readonly source: Source;
  readonly nix: EvaluatingNix;
  readonly env: Environment;
  readonly now: () => number;
  /** Ends what is being asked when nobody will want the answer. */
  readonly signal?: AbortSignal;
}

/** The branches of nixpkgs that are channels, and those people build from besides. */
const NIXPKGS_BRANCH =
  /^(?:(?:nixos|nixpkgs)-(?:unstable|\d\d\.\d\d)(?:-small|-darwin)?|release-\d\d\.\d\d|master)$/;

export function createResolver(options: ResolverOptions): Resolver {
  const { source, now } = options;
  switch (source.kind) {
    case "path":
      return resolverOfTree(
        openLocalTree({ path: source.path, withGit: false, pin: pinPath, now }),
      );
    case "nixpkgs":
      return resolverOfNixpkgs(source, options);
    case "git":
      return resolverOfGit(source, options);
    case "flake":
      return resolverOfFlake(source, options);
    default:
      return source satisfies never;
  }
}

function resolverOfNixpkgs(
  { url, channel }: Extract<Source, { kind: "nixpkgs" }>,
  options: ResolverOptions,
): Resolver {
  return resolverOfRemote({
    remote: openGitRemote({ ...options, url }),
    latest: channel,
    pinned: (commit) => ({ kind: "nixpkgs", url, commit }),
    isOffered: (name) => NIXPKGS_BRANCH.test(name),
    offer: `latest (${channel}), a channel such as nixos-25.11, or a full commit of nixpkgs`,
  });
}

function resolverOfGit(
  { url, latest }: Extract<Source, { kind: "git" }>,
  options: ResolverOptions,
): Resolver {
  return resolverOfRemote({
    remote: openGitRemote({ ...options, url }),
    latest: latest ?? null,
    pinned: (commit, ref) =>
      ref === null ? { kind: "git", url, commit } : { kind: "git", url, commit, ref },
    isOffered: () => true,
    offer: offerOf(latest ?? null),
  });
}

function resolverOfFlake(
  { url, latest }: Extract<Source, { kind: "flake" }>,
  options: ResolverOptions,
): Resolver {
  const reference = parseFlakeReference(url);
  const { nix, now, signal } = options;
  switch (reference.kind) {
    case "git": {
      const wanted = latest ?? reference.revision;
      return resolverOfRemote({
        remote: openGitRemote({ ...options, url: reference.remoteUrl }),
        latest: wanted,
        pinned: (commit, ref) => ({ kind: "flake", url: reference.lockedTo(commit, ref) }),
        isOffered: () => true,
        offer: offerOf(wanted),
      });
    }
    case "path": {
      const pin = (realPath: string) => lockFlake(nix, reference.urlAt(realPath), signal);
      return resolverOfTree(openLocalTree({ path: reference.path, withGit: true, pin, now }));
    }
    case "archive":
      return {
        resolve: async (tag) =>
          tag === "latest" ? await lockFlake(nix, reference.url, signal) : latestOnly(tag),
        resolveAtOnce: async (tag) => (tag === "latest" ? undefined : latestOnly(tag)),
        recheckMs: null,
      };
    case "invalid":
      throw new Error(`the configuration let the flake ${JSON.stringify(url)} pass`);
    default:
      return reference satisfies never;
  }
}

function offerOf(latest: string | null): string {
  return `latest (${latest ?? "the default branch"}), a branch, a git tag, or a full commit`;
}

function resolverOfTree(tree: LocalTree): Resolver {
  return {
    resolve: async (tag) => (tag === "latest" ? await tree.resolve() : latestOnly(tag)),
    resolveAtOnce: async (tag) => (tag === "latest" ? await tree.resolveAtOnce() : latestOnly(tag)),
    recheckMs: LARGE_TREE_RECHECK_MS,
  };
}

function latestOnly(tag: Tag): Resolution {
  return unknownTag(tag, ["the packages have no revisions by name, so latest is the only tag"]);
}

async function pinPath(path: string): Promise<Resolution> {
  const hex = await narHash(path);
  const narHashSri = `sha256-${Buffer.from(hex, "hex").toString("base64")}`;
  return {
    kind: "pinned",
    pin: pinOf(`path-${hex}`),
    source: { kind: "path", path, narHash: narHashSri },
    immutable: false,
  };
}
