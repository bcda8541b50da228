// Where the files of the store really are. What Nix calls `/nix/store/x` lies there unless it keeps a
// store of its own below another root (`NIX_REMOTE=local?root=/mnt`): images say the first, and are
// packed from the second. A store whose files are not on this machine, or whose paths have other
// names, cannot be packed at all, and that is said with a start.

import { join } from "node:path";
import { STORE_DIRECTORY } from "../layers/tar.ts";
import { evaluationMessage } from "./nix-error.ts";
import type { NixRunner } from "./nix-runner.ts";
import type { NixSettings } from "./nix-settings.ts";
import type { SpawnResult } from "./spawn.ts";

/** What its user must mend before Nix can be of use here, in words for them. */
export class StoreProblem extends Error {}

const QUERY_DEADLINE_MS = 30_000;
const MAX_ATTEMPTS = 10;
/** Places that Nix chooses by itself, all of which have their files in the usual directory. */
const USUAL = ["", "auto", "daemon", "local"];

/** Throws a StoreProblem. The settings are those of the Nix that `run` starts. */
export async function findStoreDirectory(
  run: NixRunner,
  settings: NixSettings | undefined,
): Promise<string> {
  const logical = await askLogical(run);
  if (logical !== STORE_DIRECTORY) {
    throw new StoreProblem(
      `Nix keeps its store at ${logical}, and images hold ${STORE_DIRECTORY}: unset NIX_STORE_DIR, or use a Nix made for ${STORE_DIRECTORY}`,
    );
  }
  const place = realDirectory(settings?.store ?? "auto");
  if (place !== undefined) return place;
  throw new StoreProblem(
    `Nix is told to use the store ${settings?.store}, whose files cannot be read from here: set NIX_REMOTE, or store in nix.conf, to daemon, local or local?root=/a/folder`,
  );
}

/** Opening the store to answer also shows whether it can be used at all. */
async function askLogical(run: NixRunner): Promise<string> {
  const result = await openStore(run);
  if (result.kind !== "exited")
    throw new StoreProblem(`Nix did not open its store: ${result.kind}`);
  if (result.code !== 0) {
    throw new StoreProblem(
      `Nix cannot use its store: ${evaluationMessage(result.stderr)}\n${WAYS}`,
    );
  }
  // Since 2.10, for a user without /nix: it cannot build there unless user namespaces are allowed.
  const fallback = /will use '([^']*)' as a chroot store/.exec(result.stderr)?.[1];
  if (fallback !== undefined) {
    throw new StoreProblem(
      `Nix keeps its store below ${fallback}, since /nix/var/nix does not exist\n${WAYS}`,
    );
  }
  return result.stdout.trim().replaceAll('"', "");
}

/**
 * Of two that open a store nobody has used yet, one finds its database being made, or makes a folder or
 * a link of it that the other has just made, and gives up.
 */
const BEING_MADE = / is busy| '[^']*': File exists/;

async function openStore(run: NixRunner): Promise<SpawnResult> {
  for (let attempt = 1; ; attempt++) {
    const result = await run("nix-instantiate", ["--eval", "--expr", "builtins.storeDir"], {
      deadlineMs: QUERY_DEADLINE_MS,
    });
    const isBeingMade = result.kind === "exited" && BEING_MADE.test(result.stderr);
    if (!isBeingMade || result.code === 0 || attempt === MAX_ATTEMPTS) return result;
  }
}

const WAYS = "docs/hosts.md lists the ways to have Nix, and what each needs";

/**
 * The directory of a store's objects, by the URL of the store as Nix has them: one of its words, a
 * root, or a place with parameters. Undefined where it is not on this machine.
 */
export function realDirectory(url: string): string | undefined {
  const [place = "", query = ""] = url.split("?", 2);
  const parameters = new URLSearchParams(query);
  if ((parameters.get("store") ?? STORE_DIRECTORY) !== STORE_DIRECTORY) return undefined;
  const isUsual = USUAL.includes(place) || /^(?:local|unix):\/\//.test(place);
  const root = parameters.get("root") ?? (place.startsWith("/") ? place : "");
  if (!isUsual && !place.startsWith("/")) return undefined;
  return parameters.get("real") ?? join("/", root, STORE_DIRECTORY);
}

/** Where the files of a store path really are. */
export function realPath(storeDirectory: string, storePath: string): string {
  return storeDirectory + storePath.slice(STORE_DIRECTORY.length);
}
