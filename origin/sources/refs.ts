// Which branch or git tag of a repository an image's tag means. Pure.

import { parseTag } from "../../registry/naming/reference.ts";
import { nearNames } from "../../registry/package-index/near-names.ts";

/** Names without `refs/heads/` and `refs/tags/`, and the commits they point at. */
export interface RemoteRefs {
  readonly branches: ReadonlyMap<string, string>;
  readonly tags: ReadonlyMap<string, string>;
}

export type RefMatch =
  /** `ref` in full, such as `refs/heads/main`. */
  | { readonly kind: "ref"; readonly ref: string; readonly commit: string }
  | { readonly kind: "ambiguous"; readonly names: readonly string[] }
  | { readonly kind: "absent" };

const MAX_NAMED_REFS = 5;

/** No tag of an image may hold a slash (OCI distribution specification), many branches do. */
export function escapeRef(name: string): string {
  return name.replaceAll("/", "--");
}

/**
 * The ref of that full name, which no tag can hold; the branch of that name, else the git tag, else
 * the one name that is escaped like that.
 */
export function matchRef(refs: RemoteRefs, wanted: string): RefMatch {
  const exact = refInFull(refs, wanted) ?? refNamed(refs, wanted);
  if (exact !== undefined) return exact;
  const escaped = namesOf(refs).filter((name) => name.includes("/") && escapeRef(name) === wanted);
  const [only, second] = escaped;
  if (only === undefined) return { kind: "absent" };
  if (second !== undefined) return { kind: "ambiguous", names: escaped.slice(0, MAX_NAMED_REFS) };
  return refNamed(refs, only) ?? { kind: "absent" };
}

/** The tags nearest to one that is unknown, else some that there are. */
export function nearTags(
  refs: RemoteRefs,
  wanted: string,
  isOffered: (name: string) => boolean,
): readonly string[] {
  const tags = namesOf(refs).filter(isOffered).map(escapeRef).filter(isTag);
  const near = nearNames(wanted, tags);
  return near.length > 0 ? near : tags.toSorted().slice(0, MAX_NAMED_REFS);
}

function refInFull({ branches, tags }: RemoteRefs, ref: string): RefMatch | undefined {
  const commit = ref.startsWith("refs/heads/")
    ? branches.get(ref.slice("refs/heads/".length))
    : ref.startsWith("refs/tags/")
      ? tags.get(ref.slice("refs/tags/".length))
      : undefined;
  return commit === undefined ? undefined : { kind: "ref", ref, commit };
}

function refNamed({ branches, tags }: RemoteRefs, name: string): RefMatch | undefined {
  const branch = branches.get(name);
  if (branch !== undefined) return { kind: "ref", ref: `refs/heads/${name}`, commit: branch };
  const tag = tags.get(name);
  return tag === undefined ? undefined : { kind: "ref", ref: `refs/tags/${name}`, commit: tag };
}

function isTag(text: string): boolean {
  return parseTag(text) !== undefined;
}

/** A branch and a git tag of one name are one name: the branch is what it means. */
function namesOf({ branches, tags }: RemoteRefs): readonly string[] {
  return [...new Set([...branches.keys(), ...tags.keys()])];
}
