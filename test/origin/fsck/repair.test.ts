// What a repair makes of a real origin's storage: one changed byte anywhere, and everything is again as it was;
// what cannot be made goes, with what names it.

import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../../origin/configuration/config.ts";
import { checkStorage } from "../../../origin/fsck/check.ts";
import type { Repaired } from "../../../origin/fsck/finding.ts";
import { remake } from "../../../origin/fsck/remake.ts";
import { repairStorage } from "../../../origin/fsck/repair.ts";
import { openWorkshop, type Workshop } from "../../../origin/fsck/workshop.ts";
import { findNix } from "../../../origin/nix/nix-tool.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { LASTING, listedKey } from "../../../origin/storage/keys.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { type Ending, endOfFile, readableLog, temporaryDirectory } from "../fixture.ts";
import { ENV, type House, plantSet, startHouse } from "../house.ts";

const atEnd = endOfFile();
const { signal } = new AbortController();
const TWO_PLATFORMS = { NIXPORT_PLATFORMS: "linux/amd64,linux/arm64" };
let setPath: string;
/** Of an origin that has ended, and of which every test has a copy. */
let stored: string;

beforeAll(async () => {
  setPath = await plantSet(atEnd);
  const house = await startHouse(atEnd, setPath, await temporaryDirectory(atEnd), TWO_PLATFORMS);
  await pullAll(house);
  await house.origin.close();
  stored = join(house.statePath, "origin");
});

/** Twice, a minute apart, so that all of it is kept. */
async function pullAll(house: House): Promise<void> {
  for (const pause of [60_000, 0]) {
    await house.pull("hello/heavy/tools");
    await house.pull("sh", { "User-Agent": "curl/8.0" });
    await house.pull("hello", { Accept: `${OCI_MANIFEST}, ${OCI_INDEX}` });
    house.pass(pause);
  }
}

async function copyOf(onEnd: Ending): Promise<string> {
  const root = join(await temporaryDirectory(onEnd), "origin");
  await cp(stored, root, { recursive: true });
  return root;
}

async function workshopAt(onEnd: Ending, store: BlobStore): Promise<Workshop> {
  const statePath = await temporaryDirectory(onEnd);
  const read = readConfig({
    NIXERY_PKGS_PATH: setPath,
    NIXPORT_STATE: statePath,
    NIXPORT_PACK_WORKERS: "1",
  });
  const nix = await findNix({ env: ENV });
  assert(read.kind === "config" && nix !== undefined);
  const rootsDir = join(statePath, "roots");
  const { config } = read;
  const workshop = openWorkshop({ config, nix, store, rootsDir, log: readableLog().log, signal });
  onEnd(() => workshop.close());
  return workshop;
}

async function repair(store: BlobStore, workshop: Workshop | null): Promise<Repaired> {
  const check = (reads: "everything" | "documents") =>
    checkStorage({ store, reads, onChecked: () => {}, signal });
  return repairStorage({
    ...{ store, found: (await check("everything")).findings },
    remake: async (wanted) => {
      if (workshop !== null) await remake({ store, workshop, wanted, signal });
    },
    check: () => check("documents"),
  });
}

/** What is relied on, with its bytes. */
async function contentOf(root: string): Promise<ReadonlyMap<string, string>> {
  const content = new Map<string, string>();
  for (const collection of LASTING) {
    const folder = join(root, collection);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries.filter((each) => each.isFile())) {
      const path = join(entry.parentPath, entry.name);
      content.set(relative(root, path), (await readFile(path)).toString("latin1"));
    }
  }
  return content;
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

describe("a repair", () => {
  test.for(["layers", "manifests", "records"])(
    "makes again whichever of %s was damaged, and touches nothing else",
    async (collection) => {
      const root = await copyOf(onTestFinished);
      const store = await openFilesystemStore(root);
      const workshop = await workshopAt(onTestFinished, store);
      const before = await contentOf(root);
      const keys = [...before.keys()].filter((key) => key.startsWith(`${collection}/`));
      expect(keys.length).toBeGreaterThan(2);
      for (const key of keys) {
        // More than can be mended by trying.
        await flip(join(root, key), 2);
        await flip(join(root, key), (before.get(key) ?? "").length - 1);
        const { repairs, findings } = await repair(store, workshop);
        expect(findings).toStrictEqual([]);
        expect(repairs).toStrictEqual([{ key, kind: "made-again" }]);
        expect(await contentOf(root)).toStrictEqual(before);
      }
    },
  );

  test("makes a layer again of what it was made of, where nothing else tells of it", async () => {
    const root = await copyOf(onTestFinished);
    for (const each of ["records", "lookups", "manifests", "tracked"]) {
      await rm(join(root, each), { recursive: true });
    }
    const store = await openFilesystemStore(root);
    const workshop = await workshopAt(onTestFinished, store);
    const [making = ""] = await readdir(join(root, "makings"));
    const place = join(root, "layers", making);
    const before = await readFile(place);
    await rm(place);
    const values = new Set([listedKey(`layers/${making}`)]);
    await remake({ store, workshop, wanted: { values, damaged: [] }, signal });
    expect((await readFile(place)).equals(before)).toBe(true);
  });

  test("makes again all layers, configs and popularity data from what names them", async () => {
    const root = await copyOf(onTestFinished);
    const store = await openFilesystemStore(root);
    const before = await contentOf(root);
    await rm(join(root, "layers"), { recursive: true });
    await repair(store, await workshopAt(onTestFinished, store));
    expect([...(await contentOf(root)).keys()]).toStrictEqual([...before.keys()]);
  });

  test.for(["manifests", "records"])(
    "mends a changed byte of %s without Nix",
    async (collection) => {
      const root = await copyOf(onTestFinished);
      const store = await openFilesystemStore(root);
      const before = await contentOf(root);
      const key = [...before.keys()].find((each) => each.startsWith(`${collection}/`)) ?? "";
      await flip(join(root, key), 100);
      expect((await repair(store, null)).repairs).toStrictEqual([{ key, kind: "made-again" }]);
      expect(await contentOf(root)).toStrictEqual(before);
    },
  );

  test("removes what it cannot make, and what names that, until all is whole; a pull makes it anew", async () => {
    const root = await copyOf(onTestFinished);
    const store = await openFilesystemStore(root);
    const before = await contentOf(root);
    const keys = [...before.keys()].filter((key) => key.startsWith("layers/"));
    for (const key of keys) await writeFile(join(root, key), "lost");
    const { repairs, findings } = await repair(store, null);
    expect(findings).toStrictEqual([]);
    expect(repairs.every(({ kind }) => kind === "gone")).toBe(true);
    const left = [...(await contentOf(root)).keys()].map((key) => key.split("/")[0]);
    expect([...new Set(left)].toSorted()).toStrictEqual(["answered", "pins", "popularity"]);

    const statePath = join(root, "..");
    const house = await startHouse(onTestFinished, setPath, statePath, TWO_PLATFORMS);
    await pullAll(house);
    expect([...(await contentOf(root)).keys()]).toStrictEqual([...before.keys()]);
  });
});
