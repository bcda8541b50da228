// Nix archives, written from a tree in memory. Apart from the product's own code on purpose: what
// stands in for the outside world must not share its mistakes.

import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

export type NarTree =
  | { readonly kind: "file"; readonly contents: Buffer; readonly executable?: boolean }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "folder"; readonly entries: Readonly<Record<string, NarTree>> };

export function file(contents: string | Buffer, executable = false): NarTree {
  return { kind: "file", contents: Buffer.from(contents), executable };
}

/** A folder whose files are given by their paths in it. */
export function folderOf(files: Readonly<Record<string, NarTree>>): NarTree {
  const entries: Record<string, NarTree> = {};
  const below = Map.groupBy(Object.entries(files), ([path]) => path.split("/")[0] ?? "");
  for (const [name, members] of below) {
    const [[path, tree] = ["", undefined]] = members;
    entries[name] =
      tree !== undefined && path === name
        ? tree
        : folderOf(
            Object.fromEntries(members.map(([each, it]) => [each.slice(name.length + 1), it])),
          );
  }
  return { kind: "folder", entries };
}

export function readTree(path: string): NarTree {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return { kind: "link", target: readlinkSync(path) };
  if (stats.isFile()) return file(readFileSync(path), (stats.mode & 0o100) !== 0);
  const names = readdirSync(path);
  const entries = Object.fromEntries(names.map((name) => [name, readTree(join(path, name))]));
  return { kind: "folder", entries };
}

export function narOf(tree: NarTree): Buffer {
  const parts: Buffer[] = [];
  writeString(parts, "nix-archive-1");
  writeTree(parts, tree);
  return Buffer.concat(parts);
}

function writeTree(parts: Buffer[], tree: NarTree): void {
  writeString(parts, "(");
  writeString(parts, "type");
  switch (tree.kind) {
    case "link":
      for (const text of ["symlink", "target", tree.target]) writeString(parts, text);
      break;
    case "file":
      writeString(parts, "regular");
      for (const text of tree.executable ? ["executable", ""] : []) writeString(parts, text);
      writeString(parts, "contents");
      writeString(parts, tree.contents);
      break;
    case "folder":
      writeString(parts, "directory");
      for (const name of Object.keys(tree.entries).sort(byBytes)) {
        for (const text of ["entry", "(", "name", name, "node"]) writeString(parts, text);
        writeTree(parts, tree.entries[name] as NarTree);
        writeString(parts, ")");
      }
      break;
    default:
      tree satisfies never;
  }
  writeString(parts, ")");
}

/** The length in 8 bytes, then the bytes, padded to the next 8. */
function writeString(parts: Buffer[], text: string | Buffer): void {
  const bytes = Buffer.from(text as string);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  parts.push(length, bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8));
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

const DIGITS = "0123456789abcdfghijklmnpqrsvwxyz";

/** A sha256 as Nix writes it: 52 digits of base 32, last bits first. */
export function nixHash(bytes: Buffer): string {
  const digest = createHash("sha256").update(bytes).digest();
  let number = 0n;
  for (const [index, byte] of digest.entries()) number |= BigInt(byte) << BigInt(8 * index);
  return Array.from(
    { length: 52 },
    (_, place) => DIGITS[Number((number >> BigInt(5 * (51 - place))) & 31n)],
  ).join("");
}
