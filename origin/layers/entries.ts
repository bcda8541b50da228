// Layers made of a few entries in memory: views and fallback links. The order of the entries
// given does not matter, and directories that are missing are added.

import type { Form } from "../../registry/image/record.ts";
import { type ByteString, compareBytes } from "./byte-string.ts";
import { createChunkBuffer, createChunkWriter } from "./chunk-writer.ts";
import { compressSegment } from "./compression.ts";
import { createOutput, type PackedArchive } from "./layer.ts";
import { LINK_MODE } from "./tar.ts";
import { type Owner, writeHeader } from "./tar-header.ts";

/** `path` is relative to the image's root, without leading or trailing slash. */
export type ArchiveEntry =
  | {
      readonly kind: "directory";
      readonly path: ByteString;
      readonly mode: number;
      /** Its own, whoever owns the rest. */
      readonly owner?: Owner;
    }
  | {
      readonly kind: "file";
      readonly path: ByteString;
      readonly mode: number;
      readonly content: Uint8Array;
    }
  | { readonly kind: "link"; readonly path: ByteString; readonly target: ByteString };

export const DIRECTORY_MODE = 0o755;

export interface PackedEntries extends PackedArchive {
  readonly bytes: Uint8Array;
}

/** Without `owner` all belong to root. */
export function packEntries(
  entries: readonly ArchiveEntry[],
  form: Form,
  owner?: Owner,
): PackedEntries {
  return packTar(archiveEntries(entries, owner), form);
}

/** Of the tar bytes of entries. */
export function packTar(tar: Uint8Array, form: Form): PackedEntries {
  const pieces: Uint8Array[] = [];
  const output = createOutput((bytes) => pieces.push(bytes));
  output.addTar(tar);
  output.addCompressed(compressSegment(tar, form));
  return { ...output.finish(form), bytes: Buffer.concat(pieces) };
}

/** The tar bytes, without end-of-archive blocks. */
export function archiveEntries(entries: readonly ArchiveEntry[], others?: Owner): Buffer {
  const chunks: Buffer[] = [];
  const out = createChunkWriter(createChunkBuffer(), (chunk) => chunks.push(Buffer.from(chunk)));
  for (const entry of inTreeOrder(entries)) {
    const { kind: type, path } = entry;
    const content = entry.kind === "file" ? entry.content : new Uint8Array();
    const owner = (entry.kind === "directory" ? entry.owner : undefined) ?? others;
    writeHeader(out, {
      type,
      path,
      mode: entry.kind === "link" ? LINK_MODE : entry.mode,
      sizeBytes: content.length,
      target: entry.kind === "link" ? entry.target : "",
      ...(owner !== undefined && { owner }),
    });
    out.write(content);
    out.pad();
  }
  out.flush();
  return Buffer.concat(chunks);
}

/** Every directory before what it holds, and names by bytes, as a walk of the tree gives them. */
function inTreeOrder(entries: readonly ArchiveEntry[]): readonly ArchiveEntry[] {
  const byPath = new Map<ByteString, ArchiveEntry>();
  for (const entry of entries) {
    if (byPath.has(entry.path)) throw new Error(`${entry.path} is twice in one archive`);
    byPath.set(entry.path, entry);
  }
  for (const { path } of entries) {
    for (let cut = path.lastIndexOf("/"); cut > 0; cut = path.lastIndexOf("/", cut - 1)) {
      const parent = path.slice(0, cut);
      const known = byPath.get(parent);
      if (known !== undefined && known.kind !== "directory") {
        throw new Error(`${path} lies below ${parent}, which is a ${known.kind}`);
      }
      if (known !== undefined) break;
      byPath.set(parent, { kind: "directory", path: parent, mode: DIRECTORY_MODE });
    }
  }
  const keyed = [...byPath.values()].map((entry) => ({
    key: entry.path.replaceAll("/", "\0"),
    entry,
  }));
  return keyed.sort((a, b) => compareBytes(a.key, b.key)).map(({ entry }) => entry);
}
