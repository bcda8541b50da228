// The files of one closure as a program inside an image would find them: nothing outside the
// closure exists, and links are followed by the names they say, never through the host's own files.
// That is what keeps a view the same on every host.

import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { type StorePath, storePathBase } from "../../registry/naming/store-path.ts";
import { type ByteString, fileArgument, toByteString } from "./byte-string.ts";

type FileKind = "directory" | "program" | "file" | "link";

export interface ResolvedFile {
  /** Without links, `/nix/store/…`. */
  readonly path: ByteString;
  readonly kind: Exclude<FileKind, "link">;
}

/** Paths are absolute and logical: `/nix/store/…`, wherever the store really is. */
export interface ClosureFiles {
  /** The names in a directory, in byte order. */
  names(directory: ByteString): readonly ByteString[];
  /**
   * Follows links; undefined where they lead to nothing inside a path of the closure. What is
   * relative starts at `directory`, which must be resolved already.
   */
  resolve(path: ByteString, directory?: ByteString): ResolvedFile | undefined;
  /** Whether a text is in a file, which must be resolved already; never in one that is huge. */
  holds(file: ByteString, text: string): boolean;
  /** The words of a list, which must be resolved already; none of one that is huge. */
  words(file: ByteString): readonly string[];
}

/** The kernel's own limit. */
const MAX_LINKS = 40;
/** Some thirty times what a C library has. */
const MAX_SEARCHED_BYTES = 64 * 1024 * 1024;
/** Some thousands of store paths. */
const MAX_LIST_BYTES = 256 * 1024;
const STORE_PARTS = ["nix", "store"] as const;

export function openClosure(
  storePaths: readonly StorePath[],
  storeDirectory: string,
): ClosureFiles {
  const bases: ReadonlySet<string> = new Set(storePaths.map(storePathBase));
  const realStore = toByteString(storeDirectory);
  const real = (path: ByteString) => fileArgument(realStore + path.slice("/nix/store".length));

  const kindOf = (path: ByteString): FileKind | undefined => {
    const stats = lookAt(real(path));
    if (stats === undefined) return undefined;
    if (stats.isSymbolicLink()) return "link";
    if (stats.isDirectory()) return "directory";
    return stats.mode & 0o100 ? "program" : "file";
  };

  const resolve = (path: ByteString, directory: ByteString = "/"): ResolvedFile | undefined => {
    const left = path.split("/").reverse();
    let done = path.startsWith("/") ? [] : directory.split("/").slice(1);
    let kind: ResolvedFile["kind"] = "directory";
    for (let links = 0; left.length > 0; ) {
      const name = left.pop() ?? "";
      if (name === "" || name === ".") continue;
      if (kind !== "directory") return undefined;
      if (name === "..") {
        done.pop();
        continue;
      }
      const next = [...done, name];
      const place = `/${next.join("/")}`;
      const found = isAbove(next) ? "directory" : isInside(next, bases) ? kindOf(place) : undefined;
      if (found === undefined) return undefined;
      if (found !== "link") {
        done = next;
        kind = found;
        continue;
      }
      links += 1;
      if (links > MAX_LINKS) return undefined;
      const target = readlinkSync(real(place), "latin1");
      if (target.startsWith("/")) done = [];
      left.push(...target.split("/").reverse());
    }
    return isAbove(done) ? undefined : { path: `/${done.join("/")}`, kind };
  };

  return {
    names: (path) => readdirSync(real(path), "latin1").sort(),
    resolve,
    holds(path, text) {
      const file = real(path);
      return (lookAt(file)?.size ?? 0) <= MAX_SEARCHED_BYTES && readFileSync(file).includes(text);
    },
    words(path) {
      const file = real(path);
      if ((lookAt(file)?.size ?? 0) > MAX_LIST_BYTES) return [];
      return readFileSync(file, "latin1").split(/\s+/).filter(Boolean);
    },
  };
}

/** No file of the host has such a name, or it is not for us: that is so for ever. */
const NOWHERE: ReadonlySet<unknown> = new Set(["ENAMETOOLONG", "ELOOP", "EACCES"]);

/** Undefined where a path leads nowhere, for anybody may write any path into a link. */
function lookAt(path: ReturnType<typeof fileArgument>): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (error instanceof Error && "code" in error && NOWHERE.has(error.code)) return undefined;
    throw error;
  }
}

/**
 * `/`, `/nix` and `/nix/store`: on the way to every path, and known without looking at the host.
 */
function isAbove(parts: readonly ByteString[]): boolean {
  return parts.length <= STORE_PARTS.length && parts.every((part, at) => part === STORE_PARTS[at]);
}

function isInside(parts: readonly ByteString[], bases: ReadonlySet<string>): boolean {
  const base = parts[STORE_PARTS.length];
  return base !== undefined && bases.has(base) && isAbove(parts.slice(0, STORE_PARTS.length));
}
