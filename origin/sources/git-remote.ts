// Asks a git remote what its refs point at. Credentials are the host's: ssh agent, git's helpers.
// One process per question at a time, and its answer counts for a moment, failure or not: neither a
// flood of unknown tags nor a remote that hangs piles processes up.

import { isYounger } from "../../registry/between/age.ts";
import { gitReason } from "../nix/git-words.ts";
import { GIT_MISSING, isMissing, runGit } from "./git-process.ts";
import type { RemoteRefs } from "./refs.ts";

export interface GitRemote {
  /** What the default branch points at; absent in an empty repository. */
  head(): Promise<HeadAnswer>;
  /** All branches and git tags. */
  refs(): Promise<RefsAnswer>;
}

export type HeadAnswer =
  | { readonly kind: "commit"; readonly commit: string }
  | { readonly kind: "absent" }
  | Unreachable;
export type RefsAnswer = { readonly kind: "refs"; readonly refs: RemoteRefs } | Unreachable;
interface Unreachable {
  readonly kind: "unreachable";
  readonly message: string;
}

export interface GitRemoteOptions {
  readonly url: string;
  /** What git runs in: PATH, HOME, the ssh agent. */
  readonly env: Readonly<Record<string, string>>;
  readonly now: () => number;
  readonly signal?: AbortSignal;
}

/** How long one answer serves every tag that is asked for. */
export const ANSWER_LIFE_MS = 5000;
const DEADLINE_MS = 20_000;
// Some 200,000 refs; no others than branches and tags are sent.
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export function openGitRemote(options: GitRemoteOptions): GitRemote {
  return {
    head: rememberBriefly(options.now, async () => {
      const listed = await listRemote(options, [], ["HEAD"]);
      if (listed.kind !== "listed") return listed;
      const commit = listed.commits.get("HEAD");
      return commit === undefined ? { kind: "absent" } : { kind: "commit", commit };
    }),
    refs: rememberBriefly(options.now, async () => {
      // Without these options a forge sends every pull request ever made.
      const listed = await listRemote(options, ["--heads", "--tags"], []);
      return listed.kind === "listed" ? { kind: "refs", refs: refsOf(listed.commits) } : listed;
    }),
  };
}

type Listed =
  | { readonly kind: "listed"; readonly commits: ReadonlyMap<string, string> }
  | Unreachable;

async function listRemote(
  { url, env, signal }: GitRemoteOptions,
  flags: readonly string[],
  patterns: readonly string[],
): Promise<Listed> {
  const args = ["ls-remote", "--quiet", ...flags, "--", url, ...patterns];
  const result = await runGit(env, args, {
    deadlineMs: DEADLINE_MS,
    maxStdoutBytes: MAX_OUTPUT_BYTES,
    ...(signal && { signal }),
  });
  switch (result.kind) {
    case "exited":
      return result.code === 0
        ? { kind: "listed", commits: commitsIn(result.stdout) }
        : unreachable(gitReason(result.stderr));
    case "timed-out":
      return unreachable(`git did not answer within ${DEADLINE_MS / 1000} s`);
    case "too-much-output":
      return unreachable(`the repository has more refs than fit ${MAX_OUTPUT_BYTES >> 20} MiB`);
    case "not-started":
      return unreachable(isMissing(result) ? GIT_MISSING : "git could not be started");
    case "cancelled":
    case "signalled":
      return unreachable("git did not answer");
    default:
      return result satisfies never;
  }
}

function commitsIn(listing: string): ReadonlyMap<string, string> {
  return new Map(
    listing.split("\n").flatMap((line): [string, string][] => {
      const match = /^([0-9a-f]{40})\t(.+)$/.exec(line);
      return match?.[1] && match[2] ? [[match[2], match[1]]] : [];
    }),
  );
}

/** An annotated tag is an object of its own; `^{}` names the commit it stands for. */
function refsOf(commits: ReadonlyMap<string, string>): RemoteRefs {
  const branches = new Map<string, string>();
  const tags = new Map<string, string>();
  for (const [ref, commit] of commits) {
    const [, kind, name] = /^refs\/(heads|tags)\/(.+?)(?:\^\{\})?$/.exec(ref) ?? [];
    if (name === undefined) continue;
    if (kind === "heads") branches.set(name, commit);
    else tags.set(name, commits.get(`${ref}^{}`) ?? commit);
  }
  return { branches, tags };
}

function unreachable(message: string): Unreachable {
  return { kind: "unreachable", message };
}

function rememberBriefly<Answer>(
  now: () => number,
  ask: () => Promise<Answer>,
): () => Promise<Answer> {
  let asked: Promise<Answer> | undefined;
  let answeredAtMs: number | undefined;
  return () => {
    const isFresh = answeredAtMs === undefined || isYounger(answeredAtMs, now(), ANSWER_LIFE_MS);
    if (asked !== undefined && isFresh) return asked;
    answeredAtMs = undefined;
    asked = ask().finally(() => {
      answeredAtMs = now();
    });
    return asked;
  };
}
