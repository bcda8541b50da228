// Flake references as an operator writes them, and what they are locked to. Pure. Those that would
// need a registry, or be read relative to a folder, are refused: they mean another thing elsewhere.

import { decoded } from "../nix/percent-encoding.ts";
import { isCommit } from "./source.ts";

export type FlakeReference =
  /** Behind a git remote: a revision is told by asking the remote. */
  | {
      readonly kind: "git";
      readonly remoteUrl: string;
      /** What the reference itself names: a ref or a commit. Null for the default branch. */
      readonly revision: string | null;
      /** `ref` is in full, or `HEAD`. */
      lockedTo(commit: string, ref: string | null): string;
    }
  | { readonly kind: "path"; readonly path: string; urlAt(realPath: string): string }
  | { readonly kind: "archive"; readonly url: string };

export type FlakeReferenceResult =
  | FlakeReference
  | { readonly kind: "invalid"; readonly why: string };

const MAX_LENGTH = 2000;
const PRINTABLE = /^[!-~]+$/;
const ARCHIVE = /^(?:tarball\+)?https?:\/\/.+/;
const ARCHIVE_NAME = /\.(?:zip|tar|tgz|tar\.(?:gz|xz|bz2|zst))$/;
/** Forges whose references Nix knows, and where their repositories are. */
const FORGES: ReadonlyMap<string, string> = new Map([
  ["github", "github.com"],
  ["gitlab", "gitlab.com"],
  ["sourcehut", "git.sr.ht"],
]);

export function parseFlakeReference(text: string): FlakeReferenceResult {
  if (text.length > MAX_LENGTH || !PRINTABLE.test(text)) return invalid("no URL");
  if (text.includes("#")) return invalid("without the # and what follows it");
  const [, scheme = "", rest = ""] = /^([a-z+]+):(.*)$/.exec(text) ?? [];
  const [location = "", query = ""] = splitOnce(rest, "?");
  const params = new URLSearchParams(query);
  const forge = FORGES.get(scheme);
  if (forge !== undefined) return forgeReference(scheme, forge, location, params);
  if (/^git(?:\+(?:https?|ssh|file|git))?$/.test(scheme) && location.startsWith("//")) {
    return gitReference(scheme, location, params);
  }
  if (scheme === "path") {
    if (!location.startsWith("/")) return invalid("path: needs an absolute path");
    const urlAt = (realPath: string) => withQuery(`path:${encodedPath(realPath)}`, params);
    return { kind: "path", path: decoded(location), urlAt };
  }
  if (ARCHIVE.test(text) && (scheme.startsWith("tarball+") || ARCHIVE_NAME.test(location))) {
    return { kind: "archive", url: text };
  }
  if (text.startsWith("/")) return invalid(`write path:${text} or git+file://${text}`);
  return invalid(
    "github:owner/repo[/ref], gitlab:…, sourcehut:…, git+https://…, git+ssh://…, git+file:///…, path:/… or the URL of an archive is needed",
  );
}

/** `github:owner/repo[/ref or commit]`, with `ref`, `rev`, `host` and `dir`. */
function forgeReference(
  scheme: string,
  forge: string,
  location: string,
  params: URLSearchParams,
): FlakeReferenceResult {
  const [owner, repository, ...ref] = location.split("/");
  if (!owner || !repository) return invalid(`${scheme}:owner/repo is needed`);
  const revision = [ref.join("/"), params.get("ref"), params.get("rev")].filter((part) => part);
  if (revision.length > 1) return invalid("it names more than one revision");
  const host = params.get("host") ?? forge;
  for (const name of ["ref", "rev"]) params.delete(name);
  return {
    kind: "git",
    remoteUrl: `https://${host}/${decoded(owner)}/${repository}`,
    revision: revision[0] ?? null,
    // Such a reference takes a ref or a commit, never both.
    lockedTo: (commit) => withQuery(`${scheme}:${owner}/${repository}/${commit}`, params),
  };
}

/** `git+https://…`, with `ref`, `rev`, `dir`, `submodules` and `shallow`. */
function gitReference(
  scheme: string,
  location: string,
  params: URLSearchParams,
): FlakeReferenceResult {
  const [ref, rev] = [params.get("ref"), params.get("rev")];
  if (rev !== null && !isCommit(rev)) return invalid("rev needs a commit of 40 digits");
  for (const name of ["ref", "rev"]) params.delete(name);
  return {
    kind: "git",
    remoteUrl: `${scheme.replace(/^git\+/, "")}:${location}`,
    revision: rev ?? ref,
    lockedTo(commit, foundOn) {
      // Older Nix looks for a commit on `master` unless it is told where.
      const locked = new URLSearchParams({ ref: foundOn ?? ref ?? "HEAD", rev: commit });
      for (const [name, value] of params) locked.append(name, value);
      return withQuery(`${scheme}:${location}`, locked);
    },
  };
}

function withQuery(url: string, params: URLSearchParams): string {
  // Nix reads a plus sign as itself.
  const query = params.toString().replaceAll("+", "%20");
  return query === "" ? url : `${url}?${query}`;
}

/** Nix 2.8 takes the path as it is written, so only what no URL may hold is encoded. */
function encodedPath(path: string): string {
  return encodeURI(path).replaceAll("?", "%3F").replaceAll("#", "%23");
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function invalid(why: string): FlakeReferenceResult {
  return { kind: "invalid", why };
}
