// A binary cache by itself, for Nix that is told of it: over plain HTTP, with nothing in it but what a
// test adds.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ending } from "../origin/fixture.ts";
import { type BinaryCache, type Item, startBinaryCache } from "./binary-cache.ts";
import type { Shelf } from "./shelf.ts";
import { makeCertificates } from "./tls.ts";

/** Needs what a world needs: the ports of the web. */
export async function openLoneCache(onEnd: Ending): Promise<BinaryCache> {
  const folder = await mkdtemp(join(tmpdir(), "nixport-cache-"));
  onEnd(() => rm(folder, { recursive: true, force: true }));
  const certificates = makeCertificates(folder, ["cache.invalid"]);
  // Several may be open at once; those of worlds are elsewhere.
  for (let attempt = 0; attempt < 200; attempt++) {
    const address = `127.78.${1 + ((process.pid + attempt) % 250)}.1`;
    const cache = await startBinaryCache(address, certificates, emptyShelf());
    if (cache === undefined) continue;
    onEnd(() => cache.close());
    return cache;
  }
  throw new Error("no loopback address is free in 127.78.0.0/16");
}

function emptyShelf(): Shelf {
  const items = new Map<string, Item>();
  return {
    itemOf: async (hash) => items.get(hash),
    items: async () => [...items.values()],
    add: (item) => void items.set(item.path.slice("/nix/store/".length).slice(0, 32), item),
  };
}
