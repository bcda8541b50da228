// By which way one revision of a source is fetched: a forge's archive where there is one, else the
// commit alone, else with its whole history; a flake with its inputs.

import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { withoutCredentials } from "../../registry/failures/public-text.ts";
import { type FetchedTree, type FetchLimits, fetchFlake, fetchTree } from "../nix/fetch-tree.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { forgeArchive } from "./forge-archive.ts";
import { cloneShallow } from "./shallow-clone.ts";

export interface RevisionFetcher {
  readonly nix: NixTool;
  /** What git runs in. */
  readonly env: Readonly<Record<string, string>>;
  /** Where clones lie while Nix reads them; those of a start before were removed. */
  readonly workPath: string;
}

export const CLONE_PREFIX = "cloning-";

type GitRevision = Extract<PinnedSource, { kind: "git" }>;

/** Whether it lies behind a network; the others are read where they are. */
export function isRemote(source: PinnedSource): boolean {
  return source.kind !== "path" && !(source.kind === "flake" && source.url.startsWith("path:"));
}

/** Of one that is remote. */
export async function fetchRevision(
  fetcher: RevisionFetcher,
  source: PinnedSource,
  limits: FetchLimits,
): Promise<FetchedTree> {
  const { nix } = fetcher;
  switch (source.kind) {
    case "nixpkgs":
      return await fetchTree(nix, { source }, describeRevision(source), limits);
    case "git":
      return await fetchGitRevision(fetcher, source, limits);
    case "flake":
      return await fetchFlake(nix, source.url, describeRevision(source), limits);
    case "path":
      throw new Error(`${source.path} is here already`);
    default:
      return source satisfies never;
  }
}

/** For an error: what was asked of whom, without the operator's credentials. */
export function describeRevision(source: PinnedSource): string {
  switch (source.kind) {
    case "nixpkgs":
    case "git":
      return `${withoutCredentials(source.url)} at ${source.commit}`;
    case "flake":
      return withoutCredentials(source.url);
    case "path":
      return source.path;
    default:
      return source satisfies never;
  }
}

/** An archive that is not to be had may be one of a private repository, which git has credentials for. */
async function fetchGitRevision(
  fetcher: RevisionFetcher,
  source: GitRevision,
  limits: FetchLimits,
): Promise<FetchedTree> {
  const archive = forgeArchive(source.url, source.commit);
  if (archive !== undefined) {
    const fetched = await fetchTree(fetcher.nix, { archive }, describeRevision(source), limits);
    if (fetched.kind === "fetched" || fetched.kind === "stopped") return fetched;
  }
  return await fetchByGit(fetcher, source, limits);
}

async function fetchByGit(
  { nix, env, workPath }: RevisionFetcher,
  source: GitRevision,
  limits: FetchLimits,
): Promise<FetchedTree> {
  const { url, commit } = source;
  const from = describeRevision(source);
  const folder = await mkdtemp(join(workPath, CLONE_PREFIX));
  try {
    const clone = await cloneShallow({ ...limits, env, url, from, commit, folder });
    if (clone.kind === "refused") return await fetchTree(nix, { source }, from, limits);
    if (clone.kind !== "cloned") return clone;
    const local = { kind: "git", url: pathToFileURL(folder).href, commit, shallow: true } as const;
    return await fetchTree(nix, { source: local }, from, { ...limits, onTransfer: () => {} });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
