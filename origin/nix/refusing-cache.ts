// A cache that refuses to answer, such as for credentials that have expired. Nix takes 401 and 403 for
// "not there", as S3 means them, and builds; so the cache is asked once more before anything is built.

import { readFile } from "node:fs/promises";
import { cancelBody } from "../../registry/http/body.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { type CacheFailure, cacheFailure } from "./hindrance.ts";
import { decoded } from "./percent-encoding.ts";

export interface AskedCaches {
  /** URLs as Nix has them. */
  readonly caches: readonly string[];
  /** Where Nix finds its credentials. */
  readonly netrcFile: string | undefined;
  /** Any path that is to be built. */
  readonly path: StorePath;
  readonly signal: AbortSignal;
}

const DEADLINE_MS = 5000;
const MAX_NETRC_BYTES = 1 << 20;

export async function findRefusingCache(asked: AskedCaches): Promise<CacheFailure | undefined> {
  const netrc = await readNetrc(asked.netrcFile);
  // Without a look at Nix's credentials nobody can tell whose fault a refusal is.
  if (netrc === undefined) return undefined;
  const web = asked.caches.filter((cache) => /^https?:\/\//.test(cache));
  const found = await Promise.all(web.map((cache) => refusalOf(cache, netrc, asked)));
  return found.find((each) => each !== undefined);
}

async function refusalOf(
  cache: string,
  netrc: string,
  { path, signal }: AskedCaches,
): Promise<CacheFailure | undefined> {
  const hash = /^\/nix\/store\/([0-9a-z]{32})-/.exec(path)?.[1];
  const ask = (file: string) => statusOf(cache, file, netrc, signal);
  const status = await ask(`${hash}.narinfo`);
  // Of what is not there S3 says 403 too, but not of what every cache has.
  const isRefused = status === 401 || (status === 403 && (await ask("nix-cache-info")) === 403);
  return isRefused
    ? cacheFailure(cache, `HTTP error ${status}: it does not accept the credentials of this host`)
    : undefined;
}

/** Undefined where it does not answer: of that Nix says enough. */
async function statusOf(
  cache: string,
  file: string,
  netrc: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const url = new URL(cache);
  url.search = "";
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${file}`;
  const login = loginOf(url, netrc);
  [url.username, url.password] = ["", ""];
  try {
    const response = await fetch(url, {
      headers: login === undefined ? {} : { Authorization: basic(login) },
      signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
    });
    await cancelBody(response.body);
    return response.status;
  } catch {
    return undefined;
  }
}

interface Login {
  readonly user: string;
  readonly password: string;
}

function basic({ user, password }: Login): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** That of the URL, or of netrc's entry for the host, or of its default. */
export function loginOf({ username, password, hostname }: URL, netrc: string): Login | undefined {
  if (username !== "") {
    return { user: decoded(username), password: decoded(password) };
  }
  const words = netrc.replace(/^\s*#.*$/gm, "").split(/\s+/);
  const start = words.findIndex(
    (word, place) => word === "default" || (word === "machine" && words[place + 1] === hostname),
  );
  if (start < 0) return undefined;
  const length = words.slice(start + 1).findIndex((word) => /^(?:machine|default)$/.test(word));
  const entry = words.slice(start, length < 0 ? undefined : start + 1 + length);
  const after = (name: string) => entry[entry.indexOf(name, 1) + 1] ?? "";
  return entry.includes("login")
    ? { user: after("login"), password: after("password") }
    : undefined;
}

/** "" where there is none; undefined where it may not be read. */
async function readNetrc(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return "";
  try {
    return (await readFile(file, "utf8")).slice(0, MAX_NETRC_BYTES);
  } catch (error) {
    const isAbsent = error instanceof Error && "code" in error && error.code === "ENOENT";
    return isAbsent ? "" : undefined;
  }
}
