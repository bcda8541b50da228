// A package index given to a real edge out of an origin's storage, through the outbox: once whole, and of the
// next what changed; whatever the edge has lost meanwhile.

import { afterAll, assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { EdgeClient, PushResult } from "../../../origin/backfill/edge-client.ts";
import type { PackageIndexEntry } from "../../../origin/backfill/entry.ts";
import { openOutbox } from "../../../origin/backfill/outbox.ts";
import { createPusher, type Pusher } from "../../../origin/backfill/push.ts";
import { storeRoot } from "../../../origin/package-index/stored-root.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { storeIndexObject } from "../../../origin/storage/stored-index.ts";
import type { TagPins } from "../../../registry/between/tag-pins.ts";
import type { Digest } from "../../../registry/naming/digest.ts";
import { parseObjects, parsePatches } from "../../../registry/package-index/bodies.ts";
import type { MadeIndex } from "../../../registry/package-index/make-index.ts";
import { listed } from "../../contract/blob-store.ts";
import { PACKINGS } from "../../origin/backfill/fixture.ts";
import { type Ending, readableLog, temporaryDirectory } from "../../origin/fixture.ts";
import { defined, pinOf, tagOf } from "../../registry/fixture.ts";
import { type MadeUpSet, madeUpSet } from "../../registry/package-index/made-up-set.ts";
import { NOW_MS } from "../controls.ts";
import { startWorld, type World } from "../world.ts";
import { edgeClientOf, emptyStores, storesOf } from "./from-origin.ts";
import { indexOf, PINS } from "./index-bodies.ts";

const NAMES = 4000;
const SYSTEM = "x86_64-linux";
const { signal } = new AbortController();

let world: World;
let set: MadeUpSet;
let [first, second]: MadeIndex[] = [];

beforeAll(async () => {
  world = await startWorld();
  await world.origin.stop();
  set = madeUpSet(NAMES);
  first = await indexOf(PINS[0], set.entries);
  second = await indexOf(PINS[1], set.bumped(0.01, 8));
});
afterAll(() => world.close());

interface Sent {
  readonly what: "objects" | "patches" | "root" | "pins";
  readonly bytes: number;
  readonly digests: readonly Digest[];
}

interface Setting {
  readonly store: BlobStore;
  readonly pusher: Pusher;
  /** Stores the index as an origin does, and gives it to the edge; what was sent for it. */
  give(made: MadeIndex, more?: Partial<PackageIndexEntry>): Promise<readonly Sent[]>;
  /** What is answered instead of asking the edge. */
  failing: ((what: Sent["what"]) => PushResult | undefined) | undefined;
}

async function prepare(onEnd: Ending): Promise<Setting> {
  await emptyStores(world);
  const store = await openFilesystemStore(await temporaryDirectory(onEnd));
  let sent: Sent[] = [];
  const { log } = readableLog();
  const pusher = createPusher({
    ...{ store, packings: PACKINGS, ownPins: () => null, now: Date.now, log },
    edge: counting(edgeClientOf(world, signal), (each) => {
      const failed = setting.failing?.(each.what);
      if (failed === undefined) sent.push(each);
      return failed;
    }),
    remake: async () => ({ kind: "gone" }),
  });
  const outbox = await openOutbox({ store, push: pusher, log, firstRetryMs: 1 });
  onEnd(() => outbox.close());
  const setting: Setting = {
    ...{ store, pusher, failing: undefined },
    async give({ root, objects }, more = {}) {
      sent = [];
      for (const { bytes } of objects) await storeIndexObject(store, bytes);
      await storeRoot(store, { root, askedBy: "a test" });
      const { pin, system, madeAtMs } = root;
      const packageIndex = { system, madeAtMs };
      const entry = { packageIndex, pin, tag: tagOf("latest"), resolvedAtMs: NOW_MS };
      await outbox.addIndex({ ...entry, ...more });
      await outbox.drained();
      return sent;
    },
  };
  return setting;
}

/** Asks the edge, but where `note` says what is answered. */
function counting(edge: EdgeClient, note: (sent: Sent) => PushResult | undefined): EdgeClient {
  return {
    ...edge,
    async postIndexObjects(body) {
      const digests = defined(parseObjects(body), "objects").map(({ digest }) => digest);
      const failed = note({ what: "objects", bytes: body.length, digests });
      return failed ?? edge.postIndexObjects(body);
    },
    async postIndexPatches(body) {
      const digests = defined(await parsePatches(body), "patches").map(({ digest }) => digest);
      const failed = note({ what: "patches", bytes: body.length, digests });
      return failed ?? edge.postIndexPatches(body);
    },
    async postIndexRoot(body) {
      const failed = note({ what: "root", bytes: body.length, digests: [] });
      return failed ?? edge.postIndexRoot(body);
    },
    async postPointers(body) {
      const bytes = JSON.stringify(body).length;
      return note({ what: "pins", bytes, digests: [] }) ?? edge.postPointers(body);
    },
  };
}

const bytesOf = (sent: readonly Sent[]) => sent.reduce((sum, { bytes }) => sum + bytes, 0);
const kinds = (sent: readonly Sent[]) => [...new Set(sent.map(({ what }) => what))];
const digestsOf = (sent: readonly Sent[], what?: Sent["what"]) =>
  sent.flatMap((each) => (what === undefined || each.what === what ? each.digests : [])).sort();
const named = ({ objects }: MadeIndex) => objects.map(({ digest }) => digest).sort();
const keyOf = (digest: Digest) => `x/${digest.slice("sha256:".length)}`;

async function keptAtEdge(): Promise<readonly string[]> {
  const [kv] = await storesOf(world);
  return (await kv.list()).keys.map(({ name }) => name);
}

async function expectWhole(made: MadeIndex): Promise<void> {
  const kept = new Set(await keptAtEdge());
  expect(named(made).filter((digest) => !kept.has(keyOf(digest)))).toStrictEqual([]);
  expect(kept).toContain(`i/${made.root.pin}/${SYSTEM}`);
}

describe("a package index given to an edge", () => {
  test("is sent whole once: its objects, its root, and then the pin of the tag", async () => {
    const { give } = await prepare(onTestFinished);
    const sent = await give(defined(first, "it"));
    expect(kinds(sent)).toStrictEqual(["objects", "root", "pins"]);
    expect(digestsOf(sent)).toStrictEqual(named(defined(first, "it")));
    await expectWhole(defined(first, "it"));
    const [kv] = await storesOf(world);
    const pins: TagPins = JSON.parse(`${await kv.get("t/latest")}`);
    expect(pins.pins).toStrictEqual([{ pin: PINS[0], resolvedAtMs: NOW_MS }]);
  });

  test("is sent again in a twentieth of its bytes where a hundredth of the packages changed", async () => {
    const { give } = await prepare(onTestFinished);
    const [one, two] = [defined(first, "it"), defined(second, "it")];
    const whole = bytesOf(await give(one));
    const sent = await give(two);
    const share = bytesOf(sent) / whole;
    expect(share, `${bytesOf(sent)} of ${whole} bytes`).toBeLessThan(0.05);
    expect(kinds(sent)).toStrictEqual(["patches", "root", "pins"]);
    const had = new Set(named(one));
    const changed = named(two).filter((digest) => !had.has(digest));
    expect(digestsOf(sent, "patches")).toStrictEqual(changed);
    expect(changed.length).toBeGreaterThan(10);
    expect(changed.length).toBeLessThan(had.size);
    await expectWhole(two);
  });

  test("is no more than a root and a pin where nothing changed", async () => {
    const { give } = await prepare(onTestFinished);
    await give(defined(first, "it"));
    const sent = await give(await indexOf(pinOf("c".repeat(40)), set.entries));
    expect(kinds(sent)).toStrictEqual(["root", "pins"]);
  });

  test("is sent whole where the edge has lost what patches are of", async () => {
    const { give } = await prepare(onTestFinished);
    const [one, two] = [defined(first, "it"), defined(second, "it")];
    await give(one);
    const [kv] = await storesOf(world);
    await Promise.all((await keptAtEdge()).map((key) => kv.delete(key)));
    const sent = await give(two);
    await expectWhole(two);
    // What is believed to be there is found to be lacking with the root, and sent with the next try.
    expect(sent.map(({ what }) => what)).toContain("patches");
    expect(digestsOf(sent, "objects")).toStrictEqual(named(two));
  });

  test("goes on where it was interrupted, and tells no pin before the edge has all of it", async () => {
    const setting = await prepare(onTestFinished);
    const steps: string[] = [];
    let failures = 0;
    setting.failing = (what) => {
      const message = "as the test says";
      const fails = failures < 3 && steps.push(what) % 2 === 0;
      if (fails) failures += 1;
      return fails ? { kind: "unreachable", message } : undefined;
    };
    const sent = await setting.give(defined(first, "it"));
    expect(failures).toBe(3);
    expect(digestsOf(sent)).toStrictEqual(named(defined(first, "it")));
    expect(kinds(sent)).toStrictEqual(["objects", "root", "pins"]);
    await expectWhole(defined(first, "it"));
  });

  test("is sent by the next process where the first has ended before", async () => {
    const setting = await prepare(onTestFinished);
    const made = defined(first, "it");
    setting.failing = () => ({ kind: "unreachable", message: "as the test says" });
    const ended = Promise.withResolvers<void>();
    const { log } = readableLog();
    const push: Pusher = async (entry) => {
      const outcome = await setting.pusher(entry);
      ended.resolve();
      return outcome;
    };
    const { store } = setting;
    const earlier = await openOutbox({ store, push, log });
    for (const { bytes } of made.objects) await storeIndexObject(store, bytes);
    await storeRoot(store, { root: made.root, askedBy: "a test" });
    const packageIndex = { system: SYSTEM, madeAtMs: 1 } as const;
    const at = { pin: PINS[0], tag: tagOf("latest"), resolvedAtMs: NOW_MS };
    await earlier.addIndex({ packageIndex, ...at });
    await ended.promise;
    await earlier.close();
    setting.failing = undefined;
    const next = await openOutbox({ store, push: setting.pusher, log });
    await next.drained();
    await next.close();
    await expectWhole(made);
    expect(await keptAtEdge()).toContain("t/latest");
  });

  test("is given up where the storage has lost some of it, and nothing of it is told", async () => {
    const { give, store } = await prepare(onTestFinished);
    const made = defined(first, "it");
    await give(made);
    await emptyStores(world);
    const [lost] = made.root.shards;
    assert(lost !== undefined);
    const key = storageKey.indexObject(lost.digest);
    const bytes = Uint8Array.from(defined(await store.lookup(key), "it"));
    bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1;
    await store.store(key, bytes);
    const root = { ...made.root, madeAtMs: made.root.madeAtMs + 1 };
    const others = made.objects.filter(({ digest }) => digest !== lost.digest);
    const sent = await give({ root, objects: others });
    expect(kinds(sent)).not.toContain("pins");
    const kept = await keptAtEdge();
    expect(kept.filter((each) => !each.startsWith("x/"))).toStrictEqual([]);
  });

  test("of another system or tag is sent beside it", async () => {
    const { give, store } = await prepare(onTestFinished);
    const made = defined(first, "it");
    await give(made);
    const root = { ...made.root, system: "aarch64-linux" as const };
    expect(kinds(await give({ ...made, root }))).toStrictEqual(["root", "pins"]);
    expect(kinds(await give(made, { tag: tagOf("nixos-25.11") }))).toStrictEqual(["root", "pins"]);
    const kept = await keptAtEdge();
    for (const key of [`i/${PINS[0]}/aarch64-linux`, "t/nixos-25.11"]) expect(kept).toContain(key);
    expect(await listed(store, "outbox/")).toStrictEqual([]);
  });
});
