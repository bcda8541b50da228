// A git repository on this disk, with the refs that a tag may name.

import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Ending, temporaryDirectory } from "../fixture.ts";

export interface Repository {
  readonly path: string;
  /** Adds a commit to the branch that is checked out, and returns it. */
  commit(text: string): Promise<string>;
  /** Commits whatever was written below the path. */
  add(message: string): string;
  git(...args: readonly string[]): string;
}

/** Nothing of the user who runs this may change what git does. */
export const GIT_ENV: Readonly<Record<string, string>> = {
  PATH: process.env.PATH ?? "",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "a",
  GIT_AUTHOR_EMAIL: "a@example",
  GIT_COMMITTER_NAME: "a",
  GIT_COMMITTER_EMAIL: "a@example",
};

export async function createRepository(t: Ending): Promise<Repository> {
  const path = await temporaryDirectory(t);
  const git = (...args: readonly string[]) =>
    execFileSync("git", ["-C", path, ...args], {
      encoding: "utf8",
      env: GIT_ENV,
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  git("init", "--quiet", "--initial-branch", "main");
  const add = (message: string) => {
    git("add", ".");
    git("commit", "--quiet", "--message", message);
    return git("rev-parse", "HEAD");
  };
  return {
    ...{ path, git, add },
    async commit(text) {
      await writeFile(join(path, "default.nix"), text);
      return add(text);
    },
  };
}
