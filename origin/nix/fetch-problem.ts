// Why Nix or git could not bring something in: what they write, told apart into "the server has no
// such thing" and "asking again may go better". The texts change between versions; tests hold those
// of 2.8 and 2.26.

import { gitReason } from "./git-words.ts";
import { evaluationMessage } from "./nix-error.ts";

export type FetchProblem =
  /** The server answered, and has no such revision. */
  | { readonly kind: "absent"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string };

const MAX_CHARACTERS = 500;
/** Gone and not found; what is forbidden is a matter of the operator's credentials, or of limits. */
const ABSENT_STATUS = /HTTP error (?:404|410)\b/;
/** What git says of a commit that the repository does not hold, and Nix after it. */
const ABSENT_COMMIT =
  /upload-pack: not our ref|Cannot find Git revision|fatal: (?:bad object|reference is not a tree|not a valid object name)/i;
/** Newer Nix wraps it into the failure of the unpacker that was reading, and that into brackets. */
const DOWNLOAD = /unable to download '[^'\n]+': [^\n]*/;
const WRAPPED = /\(Source threw exception: /;
/** Behind what git said, where Nix ran it. */
const GIT_FAILED = /^.*program '[^'\n]*git' failed/m;

/** Of a process that did nothing but fetch `from`. */
export function fetchProblem(stderr: string, from: string): FetchProblem {
  const message = reasonOf(stderr, from).slice(0, MAX_CHARACTERS);
  const isAbsent = ABSENT_STATUS.test(message) || ABSENT_COMMIT.test(stderr);
  return { kind: isAbsent ? "absent" : "unreachable", message };
}

function reasonOf(stderr: string, from: string): string {
  const said = evaluationMessage(stderr);
  const download = DOWNLOAD.exec(said)?.[0];
  if (download !== undefined) return WRAPPED.test(said) ? download.replace(/\)$/, "") : download;
  // Nix says no more than git's exit code; what git said stands before it.
  const git = GIT_FAILED.test(said) ? gitReason(beforeNix(stderr)) : "";
  return `${from}: ${git === "" ? said : git}`;
}

/** Without Nix's own words, of which a trace comes first. */
function beforeNix(stderr: string): string {
  const end = GIT_FAILED.exec(stderr)?.index ?? stderr.length;
  return stderr.slice(0, end).replace(/^(?:error:[ \t]*$|[ \t].*|warning: .*)\n?/gm, "");
}
