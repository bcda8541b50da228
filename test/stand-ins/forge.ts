// Stands in for github.com: repositories over git's smart protocol, archives of any commit by way of
// codeload.github.com, as the forge itself redirects, and what a branch is by api.github.com.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { GIT_ENV } from "../origin/sources/git-repository.ts";
import { answerGit } from "./git-http.ts";
import { sourceAt } from "./package-set/sources.ts";
import type { Revisions } from "./revisions.ts";
import type { Certificates } from "./tls.ts";
import {
  type Asked,
  type Reply,
  type RunningServer,
  startWebServer,
  type WebServer,
} from "./web-server.ts";

export interface Forge extends WebServer {
  /** What a branch of NixOS/nixpkgs points at: nixos-unstable, nixos-25.11 or master. */
  commitOf(branch: string): string;
  /**
   * Makes a new revision of a branch, in which the packages named (attributes) have a higher version:
   * hello, htop, jq and some invented ones by default. Resolves with its commit.
   */
  move(branch: string, raise?: readonly string[]): Promise<string>;
  /** Serves another repository of this disk, such as a fork, as `owner/name`. */
  add(name: string, repositoryPath: string): void;
  /** Whether a part of an archive can be asked for, which codeload does not offer. */
  offerRanges(offered: boolean): void;
}

export const FORGE_HOSTS = ["github.com", "codeload.github.com", "api.github.com"] as const;
export const NIXPKGS = "NixOS/nixpkgs";

const MAX_ARCHIVE_BYTES = 256 << 20;
const git = promisify(execFile);

export async function startForge(
  address: string,
  certificates: Certificates,
  revisions: Revisions,
): Promise<(Forge & RunningServer) | undefined> {
  const repositories = new Map([[NIXPKGS, revisions.repositoryPath]]);
  let ranges = false;

  async function answer(asked: Asked): Promise<Reply> {
    const source = sourceAt(asked.path);
    if (source !== undefined) return file(source, ranges);
    if (asked.host === "codeload.github.com") return await answerArchive(asked.path);
    if (asked.host === "api.github.com") return await answerApi(asked);
    const [, owner = "", name = "", rest = ""] =
      /^\/([^/]+)\/([^/]+?)(?:\.git)?(\/.*)?$/.exec(asked.path) ?? [];
    const repositoryPath = repositories.get(`${owner}/${name}`);
    if (repositoryPath === undefined) return notFound();
    const archive = /^\/archive\/([^?]+)\.tar\.gz$/.exec(rest)?.[1];
    if (archive !== undefined) return redirectArchive(asked, `${owner}/${name}`, archive);
    if (rest === "")
      return { status: 200, headers: HTML, body: `<title>${owner}/${name}</title>\n` };
    return (await answerGit(asked, repositoryPath, rest)) ?? notFound();
  }

  async function answerArchive(path: string): Promise<Reply> {
    const [, repository = "", ref = ""] = /^\/([^/]+\/[^/]+)\/tar\.gz\/(.+)$/.exec(path) ?? [];
    const repositoryPath = repositories.get(repository);
    const commit = repositoryPath && (await resolve(repositoryPath, `${ref}^{commit}`));
    if (!repositoryPath || !commit) return notFound();
    const prefix = `${repository.split("/")[1]}-${commit}/`;
    const { stdout } = await git(
      "git",
      ["-C", repositoryPath, "archive", "--format=tar.gz", `--prefix=${prefix}`, commit],
      { encoding: "buffer", env: GIT_ENV, maxBuffer: MAX_ARCHIVE_BYTES },
    );
    return file(stdout, ranges, { ETag: `W/"${commit}"` });
  }

  /** What Nix asks of it for a flake. */
  async function answerApi(asked: Asked): Promise<Reply> {
    const [, repository = "", what = "", ref = ""] =
      /^\/repos\/([^/]+\/[^/]+)\/(commits|tarball)\/(.+)$/.exec(asked.path) ?? [];
    const repositoryPath = repositories.get(repository);
    const sha = repositoryPath && (await resolve(repositoryPath, `${ref}^{commit}`));
    if (!repositoryPath || !sha) return notFound();
    if (what === "tarball") return redirectArchive(asked, repository, sha);
    const tree = await resolve(repositoryPath, `${sha}^{tree}`);
    const body = JSON.stringify({ sha, commit: { tree: { sha: tree } } });
    return { status: 200, headers: { "Content-Type": "application/json" }, body };
  }

  const server = await startWebServer(address, certificates, { answer });
  return (
    server && {
      ...server,
      commitOf: revisions.commitOf,
      move: async (branch, raise) => revisions.move(branch, raise),
      add: (name, path) => void repositories.set(name, path),
      offerRanges(offered) {
        ranges = offered;
      },
    }
  );
}

const HTML = { "Content-Type": "text/html; charset=utf-8" };

function notFound(): Reply {
  return { status: 404, headers: HTML, body: "Not Found\n" };
}

function redirectArchive(asked: Asked, repository: string, ref: string): Reply {
  const Location = `https://codeload.github.com/${repository}/tar.gz/${ref}`;
  return { status: 302, headers: { ...HTML, Location }, body: asked.method === "HEAD" ? "" : "\n" };
}

function file(body: Buffer | string, ranges: boolean, headers: Record<string, string> = {}): Reply {
  return {
    status: 200,
    headers: { "Content-Type": "application/x-gzip", ...headers },
    body,
    ranges,
    unmeasured: !ranges,
  };
}

async function resolve(repositoryPath: string, ref: string): Promise<string | undefined> {
  try {
    const { stdout } = await git(
      "git",
      ["-C", repositoryPath, "rev-parse", "--verify", "--quiet", "--end-of-options", ref],
      { env: GIT_ENV },
    );
    return stdout.trim();
  } catch {
    // Git's exit code is all it says of what there is not.
    return undefined;
  }
}
