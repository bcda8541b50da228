// The tags of a source behind a git remote: latest, a branch, a git tag, a commit; and what an
// unknown one is told.

import type { Tag } from "../../registry/naming/reference.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import type { GitRemote } from "./git-remote.ts";
import { matchRef, nearTags, type RemoteRefs } from "./refs.ts";
import { isCommit, pinOf, type Resolution, type Resolver, unknownTag } from "./source.ts";

export interface RemoteTags {
  readonly remote: GitRemote;
  /** What `latest` is: a commit or the name of a ref; null for the default branch. */
  readonly latest: string | null;
  /** `ref` in full, or `HEAD`; null for a commit that was named. */
  pinned(commit: string, ref: string | null): PinnedSource;
  /** Whether clients may ask for a ref at all. */
  isOffered(name: string): boolean;
  /** What the tags are, in the words of an error. */
  readonly offer: string;
}

const SHORT_COMMIT = /^[0-9a-f]{7,39}$/;

export function resolverOfRemote(tags: RemoteTags): Resolver {
  const { remote } = tags;
  const pinned = (commit: string, ref: string | null, immutable: boolean): Resolution => ({
    kind: "pinned",
    pin: pinOf(commit),
    source: tags.pinned(commit, ref),
    immutable,
  });

  async function resolveHead(tag: Tag): Promise<Resolution> {
    const head = await remote.head();
    switch (head.kind) {
      case "commit":
        return pinned(head.commit, "HEAD", false);
      case "absent":
        return unknownTag(tag, ["the repository has no default branch"]);
      case "unreachable":
        return head;
      default:
        return head satisfies never;
    }
  }

  async function resolveRef(tag: Tag, wanted: string): Promise<Resolution> {
    const answer = await remote.refs();
    if (answer.kind === "unreachable") return answer;
    const match =
      // The operator's own ref may be any.
      tag === "latest" || tags.isOffered(wanted)
        ? matchRef(answer.refs, wanted)
        : ({ kind: "absent" } as const);
    switch (match.kind) {
      case "ref":
        return pinned(match.commit, match.ref, false);
      case "ambiguous":
        return unknownTag(tag, [`it may mean ${match.names.join(" or ")}`]);
      case "absent":
        return unknownTag(tag, hintsFor(tags, answer.refs, tag, wanted));
      default:
        return match satisfies never;
    }
  }

  const meaningOf = (tag: Tag) => (tag === "latest" ? tags.latest : tag);
  return {
    async resolve(tag) {
      const wanted = meaningOf(tag);
      if (wanted === null) return await resolveHead(tag);
      if (isCommit(wanted)) return pinned(wanted, null, wanted === tag);
      return await resolveRef(tag, wanted);
    },
    async resolveAtOnce(tag) {
      const wanted = meaningOf(tag);
      return wanted !== null && isCommit(wanted) ? pinned(wanted, null, wanted === tag) : undefined;
    },
    recheckMs: null,
  };
}

function hintsFor(tags: RemoteTags, refs: RemoteRefs, tag: Tag, wanted: string): readonly string[] {
  const near = nearTags(refs, wanted, tags.isOffered);
  return [
    ...(tag === wanted ? [] : [`it is to be ${wanted}, which does not exist`]),
    ...(SHORT_COMMIT.test(wanted) ? ["a commit is a tag with all its 40 digits only"] : []),
    ...(near.length > 0 ? [`the nearest are ${near.join(", ")}`] : []),
    `tags are ${tags.offer}`,
  ];
}
