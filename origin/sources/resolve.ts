// Tag to pin, for each kind of source. What a tag may mean is decided here and nowhere else.

import { type Pin, parsePin } from "../../registry/pin.ts";
import type { Tag } from "../../registry/reference.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { type GitRemote, openGitRemote } from "./git-remote.ts";
import { LARGE_TREE_RECHECK_MS, type LocalTree, openLocalTree } from "./local-tree.ts";
import { narHash } from "./nar-hash.ts";
import { matchRef, nearTags, type RemoteRefs } from "./refs.ts";
import { isCommit, type Resolution, type Source } from "./source.ts";

export interface Resolver {
  resolve(tag: Tag): Promise<Resolution>;
  /** Undefined where a remote must be asked, or much must be read. */
  resolveAtOnce(tag: Tag): Promise<Resolution | undefined>;
  /** A source that can be looked at often is; null leaves it to the operator. */
  readonly recheckMs: number | null;
}

/** What git runs in: PATH, HOME, the ssh agent. */
export type Environment = Readonly<Record<string, string>>;

export interface ResolverOptions {
  readonly source: Source;
  readonly env: Environment;
  readonly now: () => number;
  /** Ends what is being asked when nobody will want the answer. */
  readonly signal?: AbortSignal;
}

/** The branches of nixpkgs that are channels, and those people build from besides. */
const NIXPKGS_BRANCH =
  /^(?:(?:nixos|nixpkgs)-(?:unstable|\d\d\.\d\d)(?:-small|-darwin)?|release-\d\d\.\d\d|master)$/;
const SHORT_COMMIT = /^[0-9a-f]{7,39}$/;

export function createResolver(options: ResolverOptions): Resolver {
  const { source } = options;
  switch (source.kind) {
    case "path":
      return resolverOfTree(
        openLocalTree({ path: source.path, withGit: false, pin: pinPath, now: options.now }),
      );
    case "nixpkgs":
      return resolverOfRemote(nixpkgsTags(source, openGitRemote({ ...options, url: source.url })));
    case "git":
      return resolverOfRemote(gitTags(source, openGitRemote({ ...options, url: source.url })));
    default:
      return source satisfies never;
  }
}

function resolverOfTree(tree: LocalTree): Resolver {
  const latestOnly = async <T>(tag: Tag, resolve: () => Promise<T>) =>
    tag === "latest"
      ? await resolve()
      : unknownTag(tag, ["the packages come from a local path, which has the tag latest only"]);
  return {
    resolve: (tag) => latestOnly(tag, tree.resolve),
    resolveAtOnce: (tag) => latestOnly(tag, tree.resolveAtOnce),
    recheckMs: LARGE_TREE_RECHECK_MS,
  };
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

/** How the tags of a source behind a git remote are told. */
interface RemoteTags {
  readonly remote: GitRemote;
  /** A commit or the name of a ref; null for the default branch. */
  meaningOf(tag: Tag): string | null;
  pinned(commit: string, ref: string | null): PinnedSource;
  /** Whether clients may ask for a ref at all. */
  isOffered(name: string): boolean;
  /** What the tags are, in the words of an error. */
  readonly offer: string;
}

function nixpkgsTags(
  { url, channel }: Extract<Source, { kind: "nixpkgs" }>,
  remote: GitRemote,
): RemoteTags {
  return {
    remote,
    meaningOf: (tag) => (tag === "latest" ? channel : tag),
    pinned: (commit) => ({ kind: "nixpkgs", url, commit }),
    isOffered: (name) => NIXPKGS_BRANCH.test(name),
    offer: `latest (${channel}), a channel such as nixos-25.11, or a full commit of nixpkgs`,
  };
}

function gitTags({ url }: Extract<Source, { kind: "git" }>, remote: GitRemote): RemoteTags {
  return {
    remote,
    meaningOf: (tag) => (tag === "latest" ? null : tag),
    pinned: (commit, ref) =>
      ref === null ? { kind: "git", url, commit } : { kind: "git", url, commit, ref },
    isOffered: () => true,
    offer: "latest (the default branch), a branch, a git tag, or a full commit",
  };
}

function resolverOfRemote(tags: RemoteTags): Resolver {
  const pinned = (commit: string, ref: string | null, immutable: boolean): Resolution => ({
    kind: "pinned",
    pin: pinOf(commit),
    source: tags.pinned(commit, ref),
    immutable,
  });
  return {
    async resolve(tag) {
      const wanted = tags.meaningOf(tag);
      if (wanted === null) {
        const head = await tags.remote.head();
        if (head.kind === "unreachable") return head;
        if (head.kind === "commit") return pinned(head.commit, "HEAD", false);
        return unknownTag(tag, ["the repository has no default branch"]);
      }
      if (isCommit(wanted)) return pinned(wanted, null, wanted === tag);
      const answer = await tags.remote.refs();
      if (answer.kind === "unreachable") return answer;
      // The operator's own branch may be any.
      const isOffered = tag === "latest" || tags.isOffered(wanted);
      const match = isOffered ? matchRef(answer.refs, wanted) : { kind: "absent" as const };
      switch (match.kind) {
        case "ref":
          return pinned(match.commit, match.ref, false);
        case "ambiguous":
          return unknownTag(tag, [`it may mean ${match.names.join(" or ")}`]);
        case "absent":
          return unknownTag(tag, hints(tags, answer.refs, wanted));
        default:
          return match satisfies never;
      }
    },
    async resolveAtOnce(tag) {
      const wanted = tags.meaningOf(tag);
      return wanted !== null && isCommit(wanted) ? pinned(wanted, null, wanted === tag) : undefined;
    },
    recheckMs: null,
  };
}

function hints(tags: RemoteTags, refs: RemoteRefs, wanted: string): readonly string[] {
  const near = nearTags(refs, wanted, tags.isOffered);
  return [
    ...(SHORT_COMMIT.test(wanted) ? ["a commit is a tag with all its 40 digits only"] : []),
    ...(near.length > 0 ? [`the nearest are ${near.join(", ")}`] : []),
    `tags are ${tags.offer}`,
  ];
}

function unknownTag(tag: Tag, hints: readonly string[]): Resolution {
  return { kind: "unknown-tag", message: `no tag ${JSON.stringify(tag)}: ${hints.join("; ")}` };
}

function pinOf(text: string): Pin {
  const pin = parsePin(text);
  if (pin === undefined) throw new Error(`not a pin: ${text}`);
  return pin;
}
