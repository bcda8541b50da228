// Why something was not realised although nothing is wrong with any package: told from what Nix and
// builders say. The one place that knows which words mean a cache, the network or this host.

import { evaluationMessage, linesOf } from "./nix-error.ts";

/** Never remembered: it may be gone the next time. */
export type Hindrance =
  /** A binary cache did not answer, or not with what it should. */
  | { readonly kind: "cache-failed"; readonly cache: string | null; readonly reason: string }
  /** What a package is built from could not be downloaded. */
  | { readonly kind: "source-unreachable"; readonly derivation: string; readonly reason: string }
  | { readonly kind: "host-failed"; readonly reason: string }
  | NotBuilt;

/** Of what Nix tried, whatever may be built. */
export type OutsideFault = Exclude<Hindrance, NotBuilt>;

/** No cache has what they make, and so much may not be built. */
export interface NotBuilt {
  readonly kind: "not-in-caches";
  readonly count: number;
  /** The first of them. */
  readonly derivations: readonly string[];
  /** How many might be; null where the operator has nothing built. */
  readonly limit: number | null;
}

const HINDRANCES: Readonly<Record<Hindrance["kind"], true>> = {
  ...{ "cache-failed": true, "source-unreachable": true },
  ...{ "host-failed": true, "not-in-caches": true },
};

export function isHindrance(failure: { readonly kind: string }): failure is Hindrance {
  return Object.hasOwn(HINDRANCES, failure.kind);
}

export function isOutsideFault<Failure extends { readonly kind: string }>(
  failure: Failure,
): failure is Extract<Failure, OutsideFault> {
  return isHindrance(failure) && failure.kind !== "not-in-caches";
}

/** A path that a cache offers without a signature of a key that is trusted here. */
export interface Unsigned {
  readonly cache: string;
  readonly path: string;
}

export type CacheFailure = Extract<Hindrance, { kind: "cache-failed" }>;
export type HostFailure = Extract<Hindrance, { kind: "host-failed" }>;

const MAX_REASON_CHARACTERS = 500;

/** What of Nix's messages says that it is not the fault of what was to be realised. */
export function readHindrance(messages: string): CacheFailure | HostFailure | undefined {
  return readHostFailure(messages) ?? readCacheFailure(messages);
}

export const NO_SPACE = "no space is left on its disk";
export const NO_MEMORY = "it is out of memory";
export const NO_FILES = "too many files are open";
export const READ_ONLY = "its disk can only be read";
export const NOT_ALLOWED = "its files may not be read or written";
/** SQLite says the same of both. */
export const DISK_FAILS = "its disk fails, or is full";
const NO_DAEMON = "the Nix daemon does not answer";

/** In the order of this list, whatever Nix said first. */
const HOST_FAILURES: readonly (readonly [said: RegExp, reason: string])[] = [
  [/No space left on device|Disk quota exceeded|disk is full|lack of free disk space/, NO_SPACE],
  [
    // The end of a file is the whole of what Nix says; a set's own words may hold it.
    /cannot connect to (?:socket|daemon)|cannot open connection to remote store|^(?:.*error: )?unexpected end-of-file$|Nix daemon disconnected|(?:reading from|writing to) file: (?:Connection reset by peer|Broken pipe)/m,
    NO_DAEMON,
  ],
  [/Read-only file system/, READ_ONLY],
  [/Input\/output error|disk I\/O error/, DISK_FAILS],
  [/\(in '[^'\n]*\/db\.sqlite'\)/, "Nix's own database cannot be used"],
  [
    /nable to start any build|local builds are disabled/,
    "it may build nothing itself (max-jobs = 0), and no builder elsewhere can",
  ],
  [/Cannot allocate memory|std::bad_alloc|unable to fork/, NO_MEMORY],
  [/Too many open files/, NO_FILES],
  [/^error: ended by SIG/m, "Nix itself was killed, most likely for want of memory"],
  [
    // The kernel takes the largest process, which in a sandbox is never the builder, its first
    // process, but what that started: a shell passes it on as 128 + 9.
    /failed due to signal 9\b|exit code 137\b|Killed signal|\*\*\* \[[^\]]*\] Killed$/m,
    "a builder was killed, most likely for want of memory",
  ],
];

/** What ends whatever speaks to the daemon while that is restarted, and not what is asked next. */
export function lostDaemon(messages: string): boolean {
  return readHostFailure(messages)?.reason === NO_DAEMON;
}

/** What Nix says where a collector took a path between two of its steps: there again once it is asked again. */
export function lostPath(messages: string): boolean {
  return ownLines(messages).some((line) => /path '[^']*' is not valid$/.test(line));
}

/** How a process of Nix's own that did not end by itself is written among its messages. */
export function endedBy(signal: NodeJS.Signals): string {
  return `error: ended by ${signal}`;
}

export function readHostFailure(messages: string): HostFailure | undefined {
  const said = ownLines(messages).join("\n");
  const reason = HOST_FAILURES.find(([pattern]) => pattern.test(said))?.[1];
  return reason === undefined ? undefined : { kind: "host-failed", reason };
}

export function readCacheFailure(messages: string): CacheFailure | undefined {
  const lines = ownLines(messages);
  const unsigned = readUnsigned(messages);
  if (unsigned !== undefined) return unsignedFailure(unsigned, []);
  for (const line of lines) {
    const failure = cacheFailureIn(line);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function cacheFailureIn(line: string): CacheFailure | undefined {
  const download = /unable to download '([^']*)': (.*)/.exec(line);
  if (download !== null) return cacheFailure(download[1], downloadReason(download[2] ?? ""));
  const lacking = /file '([^']*)' does not exist in binary cache '([^']*)'/.exec(line);
  if (lacking !== null) return cacheFailure(lacking[2], `it lists ${lacking[1]} and lacks it`);
  const wrong = /hash mismatch importing path '([^']*)'/.exec(line)?.[1];
  if (wrong !== undefined) return cacheFailure(undefined, `${wrong} has a wrong hash`);
  const damaged = /(?:Failed to open|bad) archive(?:: | \()(.*?)\)?$/.exec(line)?.[1];
  if (damaged !== undefined) return cacheFailure(undefined, `a file is damaged: ${damaged}`);
  const none = /'([^']*)' does not appear to be a binary cache/.exec(line)?.[1];
  if (none !== undefined) return cacheFailure(none, "it does not answer as a binary cache does");
  const lost =
    /cannot add path '([^']*)' because it lacks a (?:valid )?signature/.exec(line)?.[1] ??
    /some substitutes for the outputs of derivation '([^']*)' failed/.exec(line)?.[1];
  return lost === undefined ? undefined : cacheFailure(undefined, line.replace(/^error:\s*/, ""));
}

/** Where nothing was built: whatever Nix could not do first, it did not get from a cache. */
export function readFetchFailure(messages: string): CacheFailure | HostFailure {
  const first = ownLines(messages).find((line) => /^error:\s*\S/.test(line));
  const reason = first?.replace(/^error:\s*/, "") ?? evaluationMessage(messages);
  return readHindrance(messages) ?? cacheFailure(undefined, reason);
}

/** The path that a cache offers unsigned, and whose offer Nix did not take. */
export function readUnsigned(messages: string): Unsigned | undefined {
  for (const line of ownLines(messages)) {
    const [, path, cache] = UNSIGNED.exec(line) ?? [];
    if (path !== undefined && cache !== undefined) return { path, cache };
  }
  return undefined;
}

/** 2.8's wording, and that of newer versions. */
const UNSIGNED =
  /(?:the|ignoring) substitute for '([^']*)' from '([^']*)'.* not signed by any of the keys/;

/** `signers`: names of the keys that did sign it, as far as they are known. */
export function unsignedFailure(
  { cache, path }: Unsigned,
  signers: readonly string[],
): CacheFailure {
  const by = signers.length === 0 ? "" : `, but as ${signers.join(" and ")}`;
  return cacheFailure(cache, `${path} is not signed by a key that is trusted here${by}`);
}

export function cacheFailure(cache: string | undefined, reason: string): CacheFailure {
  const host = cache === undefined ? null : (URL.parse(cache)?.host ?? cache);
  return { kind: "cache-failed", cache: host, reason: reason.slice(0, MAX_REASON_CHARACTERS) };
}

function downloadReason(said: string): string {
  // The status came, and then not all of the body.
  const broken = /^HTTP error 2\d\d.*\(curl error: (.*)\)/.exec(said)?.[1];
  if (broken !== undefined) return `a download was cut short: ${broken}`;
  return said.replace(/^(HTTP error \d+).*$/, "$1");
}

/** Of a builder's own failure: what keeps it from being the package's. */
export function readBuildHindrance(
  derivation: string,
  said: { readonly reason: string; readonly log: readonly string[] },
  isFixedOutput: boolean,
): OutsideFault | undefined {
  const lines = linesOf(said.log.join("\n"));
  const short = lines.find((line) => SHORT_OF_ROOM.test(line));
  const host = readHostFailure([said.reason, short ?? ""].join("\n"));
  if (host !== undefined) return host;
  if (!isFixedOutput) return undefined;
  const unreached = lines.findLast((line) => UNREACHED.test(line));
  if (unreached === undefined) return undefined;
  const reason = unreached.trim().replace(/^(?:error|fatal):\s*/, "");
  return { kind: "source-unreachable", derivation, reason: reason.slice(0, MAX_REASON_CHARACTERS) };
}

/** What writes, gcc and make say of a host that is short of disk or memory, not of their work. */
const SHORT_OF_ROOM =
  /No space left on device|: Killed signal terminated program |^make.*: \*\*\* \[[^\]]*\] Killed$/;

/**
 * Of Nix's own fetcher, curl and git. Only fixed-output derivations may use the network, so that
 * anything else may say so of a test of its own. A server that answers that there is no such thing
 * is believed; one that refuses may want credentials that have expired.
 */
const UNREACHED = new RegExp(
  [
    /unable to download '[^']*': (?!HTTP error 4(?:0[02456]|1\d))/,
    // Host not found, no connection, cut short, timed out, TLS, nothing sent, send, receive, a
    // certificate that has expired, HTTP/2.
    /^\s*curl: \((?:5|6|7|16|18|28|35|52|55|56|60|92)\)/,
    /The requested URL returned error: (?:40[1378]|429|5\d\d)/,
    /^fatal: unable to (?:access|connect)|Could not resolve host|Temporary failure in name resolution/,
    /^fatal: (?:Authentication failed|could not read Username)|Permission denied \(publickey|Host key verification failed/,
  ]
    .map(({ source }) => source)
    .join("|"),
);

/**
 * Without the lines that Nix quotes of builders, and without failures that it tries again after or makes
 * nothing of.
 */
function ownLines(messages: string): readonly string[] {
  const said: string[][] = [];
  for (const line of linesOf(messages)) {
    // What is indented, or empty, goes on with the message before.
    if (/^\S/.test(line)) said.push([line]);
    else said.at(-1)?.push(line);
  }
  const isPassing = (lines: readonly string[]) => lines.some((line) => RETRYING.test(line));
  return said
    .filter((lines) => !isPassing(lines))
    .flat()
    .filter((line) => !/^\s*>/.test(line));
}

const RETRYING = /; retrying (?:from offset \d+ )?in \d+ ms|^error \(ignored\):/;
