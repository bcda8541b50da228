// What a check finds in the storage of a real origin: one changed byte wherever it is, what is missing, and
// nothing where nothing is wrong.

import { cp, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkStorage } from "../../../origin/fsck/check.ts";
import type { Checked, Finding } from "../../../origin/fsck/finding.ts";
import { readValue } from "../../../origin/fsck/read-value.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { LASTING, listedKey, parseStorageKey, storageKey } from "../../../origin/storage/keys.ts";
import { parseStoredJson, storedJson } from "../../../origin/storage/stored-json.ts";
import { parsePackageRecord } from "../../../registry/image/record.ts";
import { hexOf } from "../../registry/fixture.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../fixture.ts";
import { plantSet, startHouse } from "../house.ts";

const atEnd = endOfFile();
/** Of an origin that has ended, and of which every test has a copy. */
let stored: string;

beforeAll(async () => {
  const house = await startHouse(atEnd, await plantSet(atEnd), await temporaryDirectory(atEnd), {
    NIXPORT_EDGE_URL: "http://127.0.0.1:9",
    NIXPORT_SECRET: "a secret of the checked storage",
  });
  await house.pull("hello/heavy/tools");
  await house.pull("sh", { "User-Agent": "curl/8.0" });
  // A minute later it is another pull's, which has it kept.
  house.pass(60_000);
  await house.pull("hello/heavy/tools");
  await house.origin.close();
  stored = join(house.statePath, "origin");
});

async function copyOf(onEnd: Ending): Promise<string> {
  const root = join(await temporaryDirectory(onEnd), "origin");
  await cp(stored, root, { recursive: true });
  return root;
}

async function check(
  root: string,
  reads: "everything" | "documents" = "everything",
): Promise<Checked> {
  const store = await openFilesystemStore(root);
  const { signal } = new AbortController();
  return checkStorage({ store, reads, onChecked: () => {}, signal });
}

async function keysOf(root: string, collection: string): Promise<readonly string[]> {
  const entries = await readdir(join(root, collection), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

async function flip(root: string, key: string, at: number): Promise<void> {
  const bytes = await readFile(join(root, key));
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(join(root, key), bytes);
}

const damaged = (key: string): Finding => ({ key, kind: "damaged" });

describe("a check", () => {
  test("finds nothing in what an origin has stored", async () => {
    const { findings, collections, orphans, strangers, withoutChecksum } = await check(stored);
    expect({ findings, orphans, strangers, withoutChecksum }).toStrictEqual({
      findings: [],
      orphans: { layers: 0 },
      strangers: 0,
      withoutChecksum: 0,
    });
    expect(LASTING.filter((each) => collections[each]?.values === 0)).toStrictEqual([]);
    const sizes = (await keysOf(stored, "layers")).map(
      async (key) => (await readFile(join(stored, key))).length,
    );
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    expect(collections.layers).toStrictEqual({ values: sizes.length, bytes });
  });

  test.for(["layers", "manifests", "records", "lookups", "outbox", "pins"])(
    "finds a changed byte of %s, whichever it is, and nothing else",
    async (collection) => {
      const root = await copyOf(onTestFinished);
      for (const [place, key] of (await keysOf(root, collection)).entries()) {
        const before = await readFile(join(root, key));
        // The first, the last, and one that differs from file to file.
        for (const at of new Set([0, before.length - 1, (place * 7919) % before.length])) {
          await flip(root, key, at);
          const { findings } = await check(root);
          // Of a record of several outputs nothing but its bytes says whose it is.
          const others = findings.filter(
            (each) => !each.key.startsWith("lookups/") || each.key === key,
          );
          expect(others, `byte ${at} of ${key}`).toStrictEqual([damaged(key)]);
          if (collection !== "records") expect(findings).toHaveLength(1);
          await writeFile(join(root, key), before);
        }
      }
    },
  );

  test("finds every changed byte of a record", async () => {
    const [key = ""] = await keysOf(stored, "records");
    const [of, bytes] = [parseStorageKey(key), await readFile(join(stored, key))];
    assert(of !== undefined);
    const store = { lookup: async () => bytes, open: async () => undefined };
    const kinds = new Set<string>();
    for (const [at, byte] of bytes.entries()) {
      bytes[at] = byte ^ 0x10;
      kinds.add((await readValue(store, listedKey(key), of, bytes.length)).kind);
      bytes[at] = byte;
    }
    expect([...kinds]).toStrictEqual(["damaged"]);
  });

  test("finds a layer that was cut short, and does not blame who names it", async () => {
    const root = await copyOf(onTestFinished);
    const [key = ""] = await keysOf(root, "layers");
    await truncate(join(root, key), 10);
    const { findings } = await check(root);
    expect(findings).toStrictEqual([damaged(key)]);
  });

  test("finds what names a layer that is gone", async () => {
    const root = await copyOf(onTestFinished);
    const manifest = (await keysOf(root, "manifests"))[0] ?? "";
    const { config } = JSON.parse(await readFile(join(root, manifest), "utf8"));
    const key = `layers/${config.digest.slice("sha256:".length)}`;
    await rm(join(root, key));
    const { findings } = await check(root);
    const named = findings.filter(
      (each) => each.kind === "incomplete" && each.missing.includes(key),
    );
    expect(named).toHaveLength(findings.length);
    expect(findings.map((each) => each.key)).toContain(manifest);
  });

  test("finds a lookup whose record is gone, and an entry of the outbox that names it", async () => {
    const root = await copyOf(onTestFinished);
    const [key = ""] = (await keysOf(root, "records")).filter((each) =>
      each.endsWith("-heavy-1.0"),
    );
    await rm(join(root, key));
    const { findings } = await check(root);
    expect(findings.map((each) => each.key.replace(/\/.*\//, "/…/"))).toStrictEqual([
      "lookups/…/heavy",
      expect.stringMatching(/^outbox\//),
    ]);
  });

  test("takes no record that only knows of an output for one that brings it", async () => {
    const root = await copyOf(onTestFinished);
    const [key = ""] = (await keysOf(root, "records")).filter((each) =>
      each.endsWith("-heavy-1.0"),
    );
    const record = parsePackageRecord(parseStoredJson(await readFile(join(root, key))));
    assert(record !== undefined);
    const database = { ...record, kind: "database" } as const;
    const place = storageKey.record(record.packing, database);
    await writeFile(join(root, place), storedJson(database));
    await rm(join(root, key));
    const { findings } = await check(root);
    expect(findings.map((each) => each.key)).toContainEqual(expect.stringMatching(/\/heavy$/));
    expect(findings).not.toContainEqual(damaged(place));
  });

  test("finds a record that lies under the key of another", async () => {
    const root = await copyOf(onTestFinished);
    const keys = await keysOf(root, "records");
    const [one = "", other = ""] = keys.filter((each) => /-(hello|heavy)-1\.0$/.test(each));
    await cp(join(root, one), join(root, other));
    const { findings } = await check(root);
    expect(findings).toContainEqual(damaged(other));
  });

  test("counts layers that nothing names and files that are no values, and finds no fault in them", async () => {
    const root = await copyOf(onTestFinished);
    await writeFile(join(root, "layers", hexOf("alone")), "alone");
    await writeFile(join(root, "layers", "notes.txt"), "a person's");
    const { findings, orphans, strangers } = await check(root);
    expect(findings).toStrictEqual([]);
    expect({ orphans, strangers }).toStrictEqual({ orphans: { layers: 1 }, strangers: 1 });
  });

  test("says of how many values of earlier versions it cannot tell", async () => {
    const root = await copyOf(onTestFinished);
    for (const key of await keysOf(root, "records")) {
      const value = parseStoredJson(await readFile(join(root, key)));
      await writeFile(join(root, key), JSON.stringify(value));
    }
    const { findings, withoutChecksum } = await check(root);
    expect(findings).toStrictEqual([]);
    expect(withoutChecksum).toBe((await keysOf(root, "records")).length);
  });

  test("takes nothing for a fault that is stored while it reads", async () => {
    const root = await copyOf(onTestFinished);
    const store = await openFilesystemStore(root);
    const [record = ""] = (await keysOf(root, "records")).filter((each) =>
      each.endsWith("-heavy-1.0"),
    );
    const away = join(root, "away");
    await rename(join(root, record), away);
    expect((await check(root)).findings).not.toStrictEqual([]);
    let isBack = false;
    const busy: typeof store = {
      ...store,
      async lookup(key) {
        if (!isBack) {
          isBack = true;
          await rename(away, join(root, record));
        }
        return store.lookup(key);
      },
    };
    const { signal } = new AbortController();
    const checked = await checkStorage({
      store: busy,
      reads: "everything",
      onChecked: () => {},
      signal,
    });
    expect(checked.findings).toStrictEqual([]);
  });
});
