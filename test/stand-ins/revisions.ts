// The history of the package set: a bare git repository whose commits are generated, each with some
// packages newer than in the one before.

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GIT_ENV } from "../origin/sources/git-repository.ts";
import {
  generatePackageSet,
  type PackageSetOptions,
  raisablePackages,
  type Tree,
} from "./package-set/package-set.ts";

export interface Revision {
  readonly commit: string;
  /** A folder with its files. */
  treePath(): string;
}

export interface Revisions {
  readonly repositoryPath: string;
  /** Oldest first. */
  readonly all: readonly Revision[];
  /** What a branch points at. */
  commitOf(branch: string): string;
  /**
   * A new revision of a branch, in which the packages that are named have a higher version; without
   * names, a few. Returns its commit.
   */
  move(branch: string, raise?: readonly string[]): string;
}

export const BRANCHES = {
  stable: "nixos-25.11",
  unstable: "nixos-unstable",
  main: "master",
} as const;

const FIRST_COMMIT_SECONDS = Date.UTC(2026, 0, 1) / 1000;
const COMMIT_STEP_SECONDS = 6 * 3600;
/** One in so many of the invented packages is raised with a move. */
const RAISED_SHARE = 20;

export function createRevisions(
  folder: string,
  options: Omit<PackageSetOptions, "raised">,
): Revisions {
  const repositoryPath = join(folder, "nixpkgs.git");
  const git = (args: readonly string[], input?: string) =>
    execFileSync("git", ["-C", repositoryPath, ...args], {
      encoding: "utf8",
      env: GIT_ENV,
      ...(input !== undefined && { input }),
      stdio: ["pipe", "pipe", "pipe"],
    }).trim();
  mkdirSync(repositoryPath);
  git(["init", "--quiet", "--bare", "--initial-branch", BRANCHES.main]);
  // As forges allow: any commit by its name, and a part of a history.
  for (const setting of ["allowAnySHA1InWant", "allowFilter"]) {
    git(["config", `uploadpack.${setting}`, "true"]);
  }

  const all: Revision[] = [];
  const raised = new Map<string, ReadonlyMap<string, number>>();
  const usual = [
    ...["hello", "htop", "jq"],
    ...raisablePackages(options.packages).filter((_, index) => index % RAISED_SHARE === 0),
  ];

  function commit(
    branches: readonly string[],
    parent: string | undefined,
    names: readonly string[],
  ) {
    const before = raised.get(parent ?? "") ?? new Map<string, number>();
    const versions = new Map(before);
    for (const name of names) versions.set(name, (versions.get(name) ?? 0) + 1);
    const tree = generatePackageSet({ ...options, raised: versions });
    const message = all.length === 0 ? "Make a package set" : `Raise ${names.join(", ")}`;
    const seconds = FIRST_COMMIT_SECONDS + all.length * COMMIT_STEP_SECONDS;
    const [branch = BRANCHES.main] = branches;
    git(
      ["fast-import", "--quiet", "--force"],
      importStream({ branch, parent, message, seconds, tree }),
    );
    const made = git(["rev-parse", `refs/heads/${branch}`]);
    for (const other of branches.slice(1)) git(["update-ref", `refs/heads/${other}`, made]);
    raised.set(made, versions);
    all.push({ commit: made, treePath: once(() => writeTree(join(folder, "trees", made), tree)) });
    return made;
  }

  const first = commit([BRANCHES.stable], undefined, []);
  commit([BRANCHES.unstable, BRANCHES.main], first, usual);
  const commitOf = (branch: string) => git(["rev-parse", "--verify", `refs/heads/${branch}`]);
  return {
    ...{ repositoryPath, all, commitOf },
    move: (branch, raise = usual) => commit([branch], commitOf(branch), raise),
  };
}

interface Commit {
  readonly branch: string;
  readonly parent: string | undefined;
  readonly message: string;
  readonly seconds: number;
  readonly tree: Tree;
}

function importStream({ branch, parent, message, seconds, tree }: Commit): string {
  const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`;
  const files = [...tree].map(([path, text]) => `M 100644 inline ${path}\n${data(text)}`);
  return [
    `commit refs/heads/${branch}\n`,
    `committer Stand-in <stand-in@example.org> ${seconds} +0000\n`,
    data(message),
    ...(parent === undefined ? [] : [`from ${parent}\n`]),
    "deleteall\n",
    ...files,
    "done\n",
  ].join("");
}

function writeTree(path: string, tree: Tree): string {
  for (const [file, text] of tree) {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), text);
  }
  return path;
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
