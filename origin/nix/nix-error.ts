// Reads what Nix writes to standard error: why an evaluation failed, and which builds failed. The
// texts are for people and change between versions; tests hold recorded ones of 2.8 and newer.

import { gitReason } from "./git-words.ts";

const MAX_MESSAGE_LINES = 8;
const MAX_MESSAGE_CHARACTERS = 1000;
const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");
const DERIVATION = /\/nix\/store\/[0-9a-z]{32}-[A-Za-z0-9+\-._?=]+\.drv/;

/**
 * The message of a failed evaluation. Newer versions put the trace before the message and older
 * ones after it, so it starts at the last `error:` and ends where a position or a trace begins.
 */
export function evaluationMessage(stderr: string): string {
  const lines = linesOf(stderr);
  const start = lines.findLastIndex((line) => /^\s*error:\s*\S/.test(line));
  const message: string[] = [];
  for (const line of start < 0 ? lines.filter((text) => text !== "") : lines.slice(start)) {
    // What nixpkgs adds is advice for people at a shell of their own.
    if (line.trim() === "" && /refusing to evaluate/i.test(message.join(" "))) break;
    // The page that a server has sent in place of a file.
    if (/^\s*response body:/.test(line)) break;
    if (message.length > 0 && /^\s*(at |… |\d+\||\(use '--show-trace'|\(stack trace)/.test(line))
      break;
    const text = line.trim();
    if (text !== "") message.push(message.length === 0 ? text.replace(/^error:\s*/, "") : text);
    if (message.length === MAX_MESSAGE_LINES) break;
  }
  const text = message.join("\n").slice(0, MAX_MESSAGE_CHARACTERS);
  return text === "" ? "the evaluation ended without a message" : text;
}

/**
 * Where in a package set the evaluation failed: what follows the message, or else, with the trace of
 * newer versions, the last that stands before it. Not where nix/lookup.nix asked for it.
 */
export function evaluationPlace(stderr: string): string | undefined {
  const lines = linesOf(stderr);
  const start = lines.findLastIndex((line) => /^\s*error:\s*\S/.test(line));
  const placeOf = (line: string) => /^\s*at \/nix\/store\/[^/]+\/(\S+?):?$/.exec(line)?.[1];
  const [after] = lines.slice(Math.max(start, 0)).flatMap((line) => placeOf(line) ?? []);
  return after ?? lines.flatMap((line) => placeOf(line) ?? []).at(-1);
}

/** The file whose evaluation failed, where Nix says no more: 2.8 does of `abort` and `throw`. */
export function evaluatedFile(stderr: string): string | undefined {
  return /while evaluating the file '(\/nix\/store\/[^/'\n]+\/[^'\n]+)'/.exec(stderr)?.[1];
}

/** `default.nix:3`: the line that has the words of the message, where there is one. */
export function placeOfWords(file: string, text: string, message: string): string {
  const name = file.replace(/^\/nix\/store\/[^/]+\//, "");
  // The words of an abort come in quotes.
  const [words = ""] = (/error message: '(.*)/s.exec(message)?.[1] ?? message).split("\n");
  const said = words.replace(/'$/, "");
  const line = text.split("\n").findIndex((each) => said !== "" && each.includes(said));
  return line < 0 ? name : `${name}:${line + 1}`;
}

/**
 * Why a package source could not be fetched, if that is what ended an evaluation: it may go better
 * next time. A server that answered that there is no such thing is believed.
 */
export function fetchFailure(stderr: string): string | undefined {
  const message = evaluationMessage(stderr);
  if (UNFETCHED.test(message)) {
    return /HTTP error 4(?:04|10)/.test(message) ? undefined : message;
  }
  if (!/^program 'git' failed/.test(message)) return undefined;
  const said = linesOf(stderr).filter((line) => !/^\s|^error:/.test(line));
  return said.some((line) => GIT_UNREACHED.test(line)) ? gitReason(said.join("\n")) : undefined;
}

/**
 * Why a store path could not be fetched. The error says only that it was not, so it is the last
 * warning that tells, and where there is none no cache has the path.
 */
export function substitutionFailure(messages: string): string {
  const said = linesOf(messages).findLast((line) => NOT_SUBSTITUTED.test(line));
  const reason = said?.replace(/^(?:\s|warning:|error:)+/, "").replace(/; retrying in .*$/, "");
  return reason?.slice(0, MAX_MESSAGE_CHARACTERS) ?? "no cache that this Nix asks has it";
}

const NOT_SUBSTITUTED =
  /unable to download|signature|not signed|disabling binary cache|No space left|substitute.* failed|hash mismatch|input.*unexpected|corrupt|bad archive/i;

/**
 * The version that a package set needs, where an older Nix is why it did not evaluate: as nix/load.nix
 * says it of the set, or nixpkgs itself of one that the set uses.
 */
export function neededVersion(stderr: string): string | undefined {
  const message = evaluationMessage(stderr);
  return /(?:^this package set needs Nix|^\s*This version of Nixpkgs requires Nix >=) (\d+(?:\.\d+)*)/m.exec(
    message,
  )?.[1];
}

/** Newer Nix unpacks while it downloads, and says so first; what is cut or no archive may be whole next time. */
const UNFETCHED =
  /^(?:unable to download |failed to (?:open|extract|read from) archive|cannot read file '.*' from tarball|opening Git repository .* is not owned by current user)/i;
const GIT_UNREACHED =
  /^fatal: (?:unable to (?:access|connect)|Could not read from remote|Authentication failed|could not read Username|detected dubious ownership)|^ssh: (?:connect to host|Could not resolve)/i;

export interface BuildError {
  readonly derivation: string;
  readonly timedOutAfterSeconds: number | null;
  readonly reason: string;
  /** The last lines of the builder's log, as far as Nix has shown them. */
  readonly log: readonly string[];
}

/** The builds that failed themselves, leaving out those that failed because a dependency did. */
export function parseBuildErrors(stderr: string): readonly BuildError[] {
  const errors = new Map<string, BuildError>();
  for (const block of errorBlocks(stderr)) {
    const error = parseBlock(block);
    if (error !== undefined && !errors.has(error.derivation)) errors.set(error.derivation, error);
  }
  return [...errors.values()];
}

function errorBlocks(stderr: string): readonly (readonly string[])[] {
  const blocks: string[][] = [];
  let open: string[] | undefined;
  for (const line of linesOf(stderr)) {
    if (line.startsWith("error:")) {
      open = [line];
      blocks.push(open);
    } else if (/^\s/.test(line)) open?.push(line);
    else if (line !== "") open = undefined;
  }
  return blocks;
}

function parseBlock(block: readonly string[]): BuildError | undefined {
  const said = block.filter((line) => !/^\s*>/.test(line)).map((line) => line.trim());
  const text = said.join("\n");
  const derivation = DERIVATION.exec(text)?.[0];
  if (derivation === undefined) return undefined;
  if (/dependenc(y|ies) (of derivation .* )?failed/.test(text)) return undefined;
  // The summary at the end, which names what was asked for and not what failed.
  if (/^error: build of /.test(text)) return undefined;
  // No builder was started: a cache failed.
  if (/^error: some substitutes for /.test(text)) return undefined;
  const timeout = /timed out after (\d+) seconds/.exec(text)?.[1];
  const [first = "", ...rest] = said;
  // A wrong hash is told on the lines below.
  const whole = first.endsWith("':") ? [first, ...rest].join(" ").replace(/\s+/g, " ") : first;
  const reason = said.find((line) => line.startsWith("Reason:")) ?? whole;
  return {
    derivation,
    timedOutAfterSeconds: timeout === undefined ? null : Number(timeout),
    reason: reason.replace(/^(error|Reason):\s*/, "").replace(/;$/, ""),
    log: block.filter((line) => /^\s*>/.test(line)).map((line) => line.replace(/^\s*> ?/, "")),
  };
}

export function linesOf(stderr: string): readonly string[] {
  return stderr.replace(ESCAPES, "").replace(/\r/g, "").split("\n");
}
