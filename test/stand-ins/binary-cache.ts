// Stands in for cache.nixos.org: narinfo files, signed, and NARs of everything that the package set
// builds at any of its revisions, made from the names that Nix gives it; nothing is built for it.

import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { type NarTree, narOf, nixHash, readTree } from "./nar.ts";
import type { Shelf } from "./shelf.ts";
import type { Certificates } from "./tls.ts";
import {
  type Asked,
  type Reply,
  type RunningServer,
  startWebServer,
  type WebServer,
} from "./web-server.ts";

export interface BinaryCache extends WebServer {
  /** As in `trusted-public-keys`. */
  readonly publicKey: string;
  /** Serves a folder of this disk, or a tree, as a path that is none of the set's. */
  add(storePath: string, tree: NarTree | string, references: readonly string[]): void;
  /** Store paths it has whose name, without the hash, is this one or goes on with a hyphen; "" is all. */
  find(name: string): Promise<readonly string[]>;
}

/** A path that the cache has. */
export interface Item {
  readonly path: string;
  readonly references: readonly string[];
  readonly deriver?: string;
  tree(): NarTree;
}

export const CACHE_HOST = "cache.nixos.org";
const KEY_NAME = "cache.nixos.org-1";
const CACHE_INFO = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n";

export async function startBinaryCache(
  address: string,
  certificates: Certificates,
  shelf: Shelf,
): Promise<(BinaryCache & RunningServer) | undefined> {
  const key = privateKey(1);
  const stranger = privateKey(2);
  const packed = new Map<string, Packed>();
  const byFile = new Map<string, Packed>();

  function pack(item: Item): Packed {
    const known = packed.get(item.path);
    if (known !== undefined) return known;
    const nar = narOf(item.tree());
    const compressed = zstdCompressSync(nar);
    const fileHash = nixHash(compressed);
    const made = { item, compressed, fileHash, narHash: nixHash(nar), narSize: nar.length };
    packed.set(item.path, made);
    byFile.set(`/nar/${fileHash}.nar.zst`, made);
    return made;
  }

  async function itemAt(path: string): Promise<Item | undefined> {
    const hash = /^\/([0-9a-z]{32})\.narinfo$/.exec(path)?.[1];
    if (hash !== undefined) return await shelf.itemOf(hash);
    if (!path.startsWith("/nar/")) return undefined;
    // Nix remembers where a NAR is for a month; this process may not have packed it yet.
    if (!byFile.has(path)) for (const item of await shelf.items()) pack(item);
    return byFile.get(path)?.item;
  }

  async function answer({ path }: Asked, fault: { kind: string } | undefined): Promise<Reply> {
    if (path === "/nix-cache-info") {
      return {
        status: 200,
        headers: { "Content-Type": "text/x-nix-cache-info" },
        body: CACHE_INFO,
      };
    }
    const item = await itemAt(path);
    if (item === undefined) return { status: 404, body: "404" };
    const made = pack(item);
    if (path.endsWith(".narinfo")) {
      const signer = fault?.kind === "bad-signature" ? stranger : key;
      const body = narinfoOf(made, signer);
      return { status: 200, headers: { "Content-Type": "text/x-nix-narinfo" }, body };
    }
    const headers = { "Content-Type": "application/x-nix-nar" };
    return { status: 200, headers, body: made.compressed, ranges: true };
  }

  const server = await startWebServer(address, certificates, {
    answer,
    async label(path) {
      const item = await itemAt(path);
      return item === undefined ? "" : ` ${nameOf(item.path)}`;
    },
  });
  return (
    server && {
      ...server,
      publicKey: `${KEY_NAME}:${rawPublicKey(key).toString("base64")}`,
      add: (path, tree, references) =>
        shelf.add({
          ...{ path, references },
          tree: () => (typeof tree === "string" ? readTree(tree) : tree),
        }),
      async find(name) {
        const paths = (await shelf.items()).map(({ path }) => path);
        return paths.filter((path) => name === "" || `${nameOf(path)}-`.startsWith(`${name}-`));
      },
    }
  );
}

interface Packed {
  readonly item: Item;
  readonly compressed: Buffer;
  readonly fileHash: string;
  readonly narHash: string;
  readonly narSize: number;
}

function narinfoOf(packed: Packed, signer: KeyObject): string {
  const { item, compressed, fileHash, narHash, narSize } = packed;
  const references = [...new Set(item.references)].map(baseOf).sort();
  const signed = references.map((base) => `/nix/store/${base}`).join(",");
  const fingerprint = `1;${item.path};sha256:${narHash};${narSize};${signed}`;
  const signature = sign(null, Buffer.from(fingerprint), signer).toString("base64");
  return [
    `StorePath: ${item.path}`,
    `URL: nar/${fileHash}.nar.zst`,
    "Compression: zstd",
    `FileHash: sha256:${fileHash}`,
    `FileSize: ${compressed.length}`,
    `NarHash: sha256:${narHash}`,
    `NarSize: ${narSize}`,
    `References: ${references.join(" ")}`,
    ...(item.deriver === undefined ? [] : [`Deriver: ${baseOf(item.deriver)}`]),
    `Sig: ${KEY_NAME}:${signature}`,
    "",
  ].join("\n");
}

function baseOf(storePath: string): string {
  return storePath.slice("/nix/store/".length);
}

/** `htop-3.4.1` of `/nix/store/…-htop-3.4.1`. */
function nameOf(storePath: string): string {
  return baseOf(storePath).slice(33);
}

/** The same in every run: what Nix has remembered of a path stays true. */
function privateKey(seed: number): KeyObject {
  const header = Buffer.from("302e020100300506032b657004220420", "hex");
  const key = Buffer.concat([header, Buffer.alloc(32, seed)]);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

function rawPublicKey(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
}
