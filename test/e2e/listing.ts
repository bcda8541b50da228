// The files of an unpacked image as one list, whatever unpacked them: a directory, a tar, or the
// layers of an image folder put on top of one another here.

import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gunzipSync } from "node:zlib";
import { extract, type Header } from "tar-stream";
import { OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from "../../registry/image/media-type.ts";
import { unzstd } from "../origin/layers/fixture.ts";

export interface FileEntry {
  readonly type: string;
  /** Permissions with the set-id and sticky bits. */
  readonly mode: number;
  readonly owner: string;
  readonly mtimeSeconds: number;
  /** A regular file's size and SHA-256, or a link's target; empty for a directory. */
  readonly content: string;
}

/** By path, relative to the image's root, which itself is not listed: an export does not name it. */
export type Listing = ReadonlyMap<string, FileEntry>;

const PERMISSIONS = 0o7777;

/** Synchronous, for thousands of small reads are several times faster so. */
export function listDirectory(root: string): Listing {
  const listing = new Map<string, FileEntry>();
  const walk = (folder: string) => {
    for (const name of readdirSync(join(root, folder))) {
      const path = join(folder, name);
      const entry = readEntry(join(root, path));
      listing.set(path, entry);
      if (entry.type === "directory") walk(path);
    }
  };
  walk("");
  return listing;
}

export function readEntry(path: string): FileEntry {
  const stats = lstatSync(path);
  const attributes = {
    mode: stats.mode & PERMISSIONS,
    owner: `${stats.uid}:${stats.gid}`,
    mtimeSeconds: Math.floor(stats.mtimeMs / 1000),
  };
  if (stats.isDirectory()) return { ...attributes, type: "directory", content: "" };
  if (stats.isSymbolicLink()) {
    return { ...attributes, type: "link", content: readlinkSync(path) };
  }
  if (!stats.isFile()) return { ...attributes, type: "special", content: "" };
  return { ...attributes, type: "file", content: describeContent(readFileSync(path)) };
}

/** Later entries stand for earlier ones of the same path, as when a tar is unpacked. */
export async function listTar(tar: Readable): Promise<Listing> {
  const listing = new Map<string, FileEntry>();
  const entries = extract();
  tar.on("error", (error) => entries.destroy(error));
  tar.pipe(entries);
  for await (const entry of entries) {
    const { header } = entry;
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const path = header.name.replace(/^\.?\//, "").replace(/\/$/, "");
    if (path === "") continue;
    listing.set(path, {
      type: TAR_TYPES[header.type ?? ""] ?? "special",
      mode: (header.mode ?? 0) & PERMISSIONS,
      owner: `${header.uid}:${header.gid}`,
      mtimeSeconds: Math.floor((header.mtime?.getTime() ?? 0) / 1000),
      content: tarContent(header, chunks),
    });
  }
  return listing;
}

const TAR_TYPES: Readonly<Record<string, string>> = {
  file: "file",
  directory: "directory",
  symlink: "link",
};

function tarContent(header: Header, chunks: readonly Buffer[]): string {
  if (header.type === "symlink") return header.linkname ?? "";
  return header.type === "file" ? describeContent(Buffer.concat(chunks)) : "";
}

function describeContent(bytes: Buffer): string {
  return `${bytes.length} bytes sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

interface LayoutManifest {
  readonly layers: readonly { readonly mediaType: string; readonly digest: string }[];
}

/** An OCI image folder with one image in it. */
export async function listLayout(folder: string): Promise<Listing> {
  const merged = new Map<string, FileEntry>();
  for (const { mediaType, path } of layoutLayers(folder)) {
    const bytes = decompress(mediaType, readFileSync(path));
    putOnTop(merged, await listTar(Readable.from([bytes])));
  }
  return merged;
}

/** The layers of the one image in an OCI image folder, bottom first. */
export function layoutLayers(
  folder: string,
): readonly { readonly mediaType: string; readonly path: string }[] {
  const json = (path: string) => JSON.parse(readFileSync(join(folder, path), "utf8"));
  const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`;
  const index = json("index.json") as { manifests: readonly { digest: string }[] };
  const { layers } = json(blob(index.manifests[0]?.digest ?? "")) as LayoutManifest;
  return layers.map(({ mediaType, digest }) => ({ mediaType, path: join(folder, blob(digest)) }));
}

export function decompress(mediaType: string, bytes: Buffer): Buffer {
  if (mediaType === OCI_LAYER_ZSTD) return unzstd(bytes);
  if (mediaType === OCI_LAYER_GZIP) return gunzipSync(bytes);
  throw new Error(`a layer of type ${mediaType}`);
}

/** As overlay merges: a directory with a directory; anything else hides all that was there. */
function putOnTop(merged: Map<string, FileEntry>, layer: Listing): void {
  for (const [path, entry] of layer) {
    const below = merged.get(path);
    if (below?.type === "directory" && entry.type !== "directory") {
      for (const hidden of [...merged.keys()].filter((name) => name.startsWith(`${path}/`))) {
        merged.delete(hidden);
      }
    }
    merged.set(path, entry);
  }
}

const MAX_LINKS = 40;

/** Where a path leads inside the image, all links followed; undefined where it leads to nothing. */
export function resolveInside(listing: Listing, path: string): string | undefined {
  const left = path.split("/").reverse();
  let done: readonly string[] = [];
  for (let links = 0; left.length > 0; ) {
    const name = left.pop() ?? "";
    if (name === "" || name === ".") continue;
    if (name === "..") {
      done = done.slice(0, -1);
      continue;
    }
    const place = [...done, name];
    const entry = listing.get(place.join("/"));
    if (entry === undefined) return undefined;
    if (entry.type !== "link") {
      done = place;
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return undefined;
    if (entry.content.startsWith("/")) done = [];
    left.push(...entry.content.split("/").reverse());
  }
  return done.join("/");
}
