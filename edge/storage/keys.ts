// Every key the edge stores under: one function each, drawn as one tree. Nothing else spells a key.
//
//   KV: what a pull reads first, fast everywhere, eventually consistent
//   ├── p/<composer>/<variant>/<tag>/<recipe>   pointer: the manifest's or the index's bytes; metadata
//   │                                           says which digest, type, pin and time (pointers.ts)
//   ├── t/<tag>                                 TagPins: what composing images of a tag takes
//   ├── l/<pin>/<system>/<package name>         Found
//   ├── r/<packing>/<store path's base name>    PackageRecord of a package with one output
//   ├── r/<packing>/<sha256 hex>                of any other part, by its outputs
//   ├── i/<pin>/<system>                        the root of a package index; metadata has its digest
//   ├── x/<sha256 hex>                          an object that it names, by digest: a shard as its JSON,
//   │                                           since many are read at once; names and texts gzip
//   ├── m/<sha256 hex>                          manifest or index bytes; metadata says type and size
//   └── latest-pins                             the TagPins that came last, of whatever tag
//
//   R2: what is true, strongly consistent
//   ├── blobs/<2 hex>/<sha256 hex>              layers and configs
//   ├── manifests/<sha256 hex>                  manifest or index bytes, Content-Type set
//   ├── pointers/<composer>/<variant>/<tag>/<recipe>
//   │                                           as in KV: decides which of two pointers is newer,
//   │                                           and answers when KV cannot
//   ├── tags/<tag>, latest-pins                 as in KV: merged here, copied there
//   ├── outputs/<store path's base name>        empty: a record of this output was accepted
//   └── staging/<sha256 hex>/<upload>           a large blob being assembled, not yet verified
//
//   the Cache API: what one location has of it by itself, and may lose at any moment
//   ├── cached-blobs/<digest>                   blobs
//   ├── filling/<digest>                        empty, for a minute: such a blob is being put there
//   └── seen                                    when each image that is not kept was first asked for
//
//   Workers Cache: what all locations share
//   └── cached-blobs?digest=<digest>            blobs, as the entrypoint gives them that it stands before

import { indexKey } from "../../registry/between/stored-values.ts";
import { COMPOSE_VERSION } from "../../registry/image/compose.ts";
import { loneOutput, type Part, partName } from "../../registry/image/part.ts";
import type { PackingId } from "../../registry/image/record.ts";
import type { Variant } from "../../registry/image/variant.ts";
import { type Digest, digestHex, digestOf } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { PackageName, System } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import { type StorePath, storePathBase } from "../../registry/naming/store-path.ts";
import type { Mark } from "../isolate/seen-once.ts";

/** KV's limit; R2 allows 1024 bytes. */
const MAX_KEY_BYTES = 512;

/** What a pointer answers for. */
export interface ImageName {
  /** Canonical spelling, with the platforms of an index. */
  readonly recipe: string;
  readonly tag: Tag;
  readonly variant: Variant;
}

export const kvKey = {
  pointer: async (name: ImageName) => withinLimit(`p/${await imagePath(name)}`),
  tagPins: (tag: Tag) => `t/${tag}`,
  latestPins: "latest-pins",
  lookup: (pin: Pin, system: System, name: PackageName) =>
    withinLimit(`l/${pin}/${system}/${name}`),
  record: async (part: Part, packing: PackingId) =>
    withinLimit(`r/${packing}/${await recordName(part)}`),
  index: indexKey.root,
  indexObject: indexKey.object,
  manifest: (digest: Digest) => `m/${digestHex(digest)}`,
};

export const r2Key = {
  blob: (digest: Digest) => `blobs/${digestHex(digest).slice(0, 2)}/${digestHex(digest)}`,
  manifest: (digest: Digest) => `manifests/${digestHex(digest)}`,
  pointer: async (name: ImageName) => withinLimit(`pointers/${await imagePath(name)}`),
  tagPins: (tag: Tag) => `tags/${tag}`,
  latestPins: "latest-pins",
  output: (storePath: StorePath) => `outputs/${storePathBase(storePath)}`,
  staging: (digest: Digest, upload: string) => `staging/${digestHex(digest)}/${upload}`,
};

/** What of the above a key is; what follows the folder is its name. Undefined for no key of the edge's. */
export interface ParsedKey {
  readonly kind:
    | "pointer"
    | "pins"
    | "lookup"
    | "record"
    | "index"
    | "index-object"
    | "manifest"
    | "blob"
    | "output"
    | "staging";
  readonly name: string;
}

export function parseKvKey(key: string): ParsedKey | undefined {
  return key === kvKey.latestPins ? { kind: "pins", name: "" } : parsed(key, KV_FOLDERS);
}

/** Where R2 has what KV holds a copy of; null of what is KV's alone. */
export function copyOf(kvKey: string): string | null {
  const [folder = "", name] = [kvKey.slice(0, 2), kvKey.slice(2)];
  const copied = Object.hasOwn(COPIED_FOLDERS, folder) ? COPIED_FOLDERS[folder] : undefined;
  return kvKey === "latest-pins" ? r2Key.latestPins : copied ? copied + name : null;
}

export function parseR2Key(key: string): ParsedKey | undefined {
  if (key === r2Key.latestPins) return { kind: "pins", name: "" };
  const found = parsed(key, R2_FOLDERS);
  if (found?.kind !== "blob") return found;
  const [fan = "", hex = ""] = found.name.split("/");
  return hex.startsWith(fan) ? { kind: "blob", name: hex } : undefined;
}

const KV_FOLDERS: Readonly<Record<string, ParsedKey["kind"]>> = {
  ...{ p: "pointer", t: "pins", l: "lookup", r: "record", m: "manifest" },
  ...{ i: "index", x: "index-object" },
};
const COPIED_FOLDERS: Readonly<Record<string, string>> = {
  ...{ "p/": "pointers/", "t/": "tags/", "m/": "manifests/" },
};
const R2_FOLDERS: Readonly<Record<string, ParsedKey["kind"]>> = {
  ...{ blobs: "blob", manifests: "manifest", pointers: "pointer", tags: "pins" },
  ...{ outputs: "output", staging: "staging" },
};

/** What R2 holds, by how keys begin: what names others before what it names. */
export const R2_ORDER: readonly string[] = [
  ...["pointers/", "manifests/", "tags/", r2Key.latestPins, "outputs/", "blobs/", "staging/"],
];

function parsed(key: string, folders: typeof KV_FOLDERS): ParsedKey | undefined {
  const end = key.indexOf("/");
  const [folder, name] = [key.slice(0, end), key.slice(end + 1)];
  const kind = end > 0 && Object.hasOwn(folders, folder) ? folders[folder] : undefined;
  return kind && name !== "" ? { kind, name } : undefined;
}

/**
 * For all clients, whatever port and scheme they name, at paths that no route serves, where nothing can
 * be put from outside. The host stays, since only those that the operator has routed to the Worker get
 * here, and Cloudflare looks up one that is not the Worker's own.
 */
export const cacheKey = {
  blob: (host: string, digest: Digest) => `https://${host}/cached-blobs/${digest}`,
  shared: (host: string, digest: Digest) => `https://${host}/cached-blobs?digest=${digest}`,
  filling: (host: string, digest: Digest) => `https://${host}/filling/${digest}`,
  seen: (host: string) => `https://${host}/seen`,
};

/** Stands for what was asked for. Mistaken for another of the day, that is kept too early. */
export async function markOf(what: string): Promise<Mark> {
  return (await sha256Hex(what)).slice(0, 16);
}

/** Tells one image from every other, as its pointer's keys do. */
export function imageKey({ variant, tag, recipe }: ImageName): string {
  return `${variant}/${tag}/${recipe}`;
}

/**
 * With the composer's version, since an image of an earlier one is another: under a tag that is a commit it
 * would be answered for ever. A recipe of many packages is longer than a key may be: its hash stands for
 * it then.
 */
async function imagePath({ recipe, tag, variant }: ImageName): Promise<string> {
  const prefix = `${COMPOSE_VERSION}/${variant}/${tag}/`;
  const room = MAX_KEY_BYTES - "pointers/".length - prefix.length;
  return prefix + (recipe.length <= room ? recipe : `sha256:${await sha256Hex(recipe)}`);
}

async function recordName(part: Part): Promise<string> {
  const output = loneOutput(part);
  return output === undefined ? await sha256Hex(partName(part)) : storePathBase(output);
}

/** All parts of keys are ASCII, so characters are bytes. Every part has a limit of its own. */
function withinLimit(key: string): string {
  if (key.length > MAX_KEY_BYTES) throw new Error(`a key of ${key.length} bytes`);
  return key;
}

async function sha256Hex(text: string): Promise<string> {
  return digestHex(await digestOf(new TextEncoder().encode(text)));
}
