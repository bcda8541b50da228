// The outbox against a small edge: what waits on disk, when it is tried again, what is given up.

import { assert, describe, expect, onTestFinished, test } from "vitest";
import { createEdgeClient } from "../../../origin/backfill/edge-client.ts";
import { type Outbox, openOutbox } from "../../../origin/backfill/outbox.ts";
import { createPusher, type Pusher } from "../../../origin/backfill/push.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { RegistryError } from "../../../registry/http/error.ts";
import { bytesOf, listed } from "../../contract/blob-store.ts";
import { digestOfText, pinOf, tagOf } from "../../registry/fixture.ts";
import { type Ending, readableLog } from "../fixture.ts";
import { startEdge } from "./edge.ts";
import {
  FIRST_COMMIT,
  NOW_MS,
  openStorage,
  PACKINGS,
  SECOND_COMMIT,
  SECRET_KEYS,
  type Storage,
  stockImage,
  stockIndex,
} from "./fixture.ts";

const limit = { timeout: 20_000 };

interface Opened {
  readonly outbox: Outbox;
  readonly lines: ReturnType<typeof readableLog>["lines"];
  readonly stop: () => Promise<void>;
}

/** An origin's outbox as main.ts opens it, ended with the test. */
async function open(onEnd: Ending, { store }: Storage, url: string): Promise<Opened> {
  const { log, lines } = readableLog();
  const ending = new AbortController();
  const { signal } = ending;
  const edge = createEdgeClient({ url, secretKeys: SECRET_KEYS, now: () => NOW_MS, signal });
  const remake = async () => ({ kind: "gone" }) as const;
  const push = createPusher({
    store,
    edge,
    packings: PACKINGS,
    remake,
    ownPins: () => null,
    now: () => NOW_MS,
    log,
  });
  const outbox = await openOutbox({ store, push, log, firstRetryMs: 1 });
  const stop = async () => {
    ending.abort();
    await outbox.close();
  };
  onEnd(stop);
  return { outbox, lines, stop };
}

describe("the outbox", limit, () => {
  test("has an image on disk before it is added, and nothing once the edge has it", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const { outbox } = await open(onTestFinished, storage, edge.url);
    const gate = Promise.withResolvers<void>();
    edge.before = () => gate.promise;
    await outbox.add(await stockImage(storage.store, "git"));
    expect(await listed(storage.store, "outbox/")).toHaveLength(1);
    gate.resolve();
    await outbox.drained();
    expect(edge.pointers).toHaveLength(1);
    await outbox.close();
    expect(await listed(storage.store, "outbox/")).toStrictEqual([]);
  });

  test("gives the edge what a full disk had no room for, and takes it in all the same", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const image = await stockImage(storage.store, "git");
    const full = async () => {
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    };
    const store = { ...storage.store, store: full, remove: full };
    const { outbox, lines } = await open(onTestFinished, { ...storage, store }, edge.url);
    await outbox.add(image);
    expect(lines.map(({ msg }) => msg)).toContain("an entry of the outbox is not on disk");
    await outbox.drained();
    expect(edge.pointers).toHaveLength(1);
  });

  test("is drained at once when it is empty, and ends", async () => {
    const { outbox, stop } = await open(
      onTestFinished,
      await openStorage(onTestFinished),
      "http://127.0.0.1:9",
    );
    await outbox.drained();
    await stop();
  });

  test("gives a restarted origin what the edge has yet to get, oldest first", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    await edge.stop();
    const first = await open(onTestFinished, storage, edge.url);
    for (const [index, name] of ["perl", "git", "htop"].entries()) {
      const resolvedAtMs = NOW_MS - index * 1000;
      await first.outbox.add(await stockImage(storage.store, name, { resolvedAtMs }));
    }
    await first.stop();
    expect(await listed(storage.store, "outbox/")).toHaveLength(3);

    await edge.start();
    const second = await open(onTestFinished, storage, edge.url);
    await second.outbox.drained();
    expect(edge.pointers.map(({ image }) => image?.recipe)).toStrictEqual([
      "cacert/htop/iana-etc",
      "cacert/git/iana-etc",
      "cacert/iana-etc/perl",
    ]);
  });

  test("gives a restarted origin an index with its images", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    await edge.stop();
    const first = await open(onTestFinished, storage, edge.url);
    await first.outbox.add(await stockIndex(storage.store, "git"));
    await first.stop();
    await edge.start();
    const second = await open(onTestFinished, storage, edge.url);
    await second.outbox.drained();
    expect(edge.pointers.map(({ image }) => image?.recipe)).toStrictEqual([
      "cacert/git/iana-etc",
      "arm64/cacert/git/iana-etc",
      "amd64+arm64/cacert/git/iana-etc",
    ]);
    expect(await listed(storage.store, "outbox/")).toStrictEqual([]);
  });

  test("tries again until the edge is back, and sends no blob twice", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const { outbox, lines } = await open(onTestFinished, storage, edge.url);
    const died = edge.next(({ kind }) => kind === "records");
    edge.before = ({ kind }) => {
      if (kind === "lookups") throw new RegistryError("UNAVAILABLE", "starting");
    };
    await outbox.add(await stockImage(storage.store, "git"));
    await died;
    await edge.stop();
    edge.before = () => {};
    await edge.start();
    await outbox.drained();
    const blobs = edge.received.flatMap(({ kind, digest }) => (kind === "blob" ? [digest] : []));
    expect(new Set(blobs).size).toBe(blobs.length);
    expect(edge.pointers).toHaveLength(1);
    const waits = lines.filter(({ msg }) => msg === "backfill waits").map(({ delayMs }) => delayMs);
    expect(waits).toStrictEqual(waits.map((_, index) => Math.min(2 ** index, 60_000)));
  });

  test("gives an edge that was emptied all it lacks", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const { outbox } = await open(onTestFinished, storage, edge.url);
    await outbox.add(await stockImage(storage.store, "git"));
    await outbox.drained();
    const held = edge.blobs.size;
    edge.blobs.clear();
    await outbox.add(await stockImage(storage.store, "git", { commit: SECOND_COMMIT }));
    await outbox.drained();
    expect(edge.blobs.size).toBe(held);
  });

  test("lets an image the edge refuses wait behind the others", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const { outbox, lines } = await open(onTestFinished, storage, edge.url);
    const bad = await stockImage(storage.store, "git");
    const refused = bad.answered.manifest.digest;
    let refusals = 0;
    edge.before = ({ kind, digest }) => {
      if (kind !== "manifest" || digest !== refused) return;
      refusals += 1;
      throw new RegistryError("MANIFEST_INVALID", "not this one");
    };
    const given = edge.next(({ kind, body }) => kind === "pointers" && /htop/.test(String(body)));
    await outbox.add(bad);
    await outbox.add(await stockImage(storage.store, "htop"));
    await given;
    expect(refusals).toBeGreaterThan(0);
    expect(lines.some(({ reason }) => reason === "400 not this one")).toBe(true);
    edge.before = () => {};
    await outbox.drained();
    expect(edge.pointers).toHaveLength(2);
  });

  test("drops an image whose manifest the storage has lost, and goes on", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const { outbox, lines } = await open(onTestFinished, storage, edge.url);
    const lost = await stockImage(storage.store, "git");
    await storage.store.remove(storageKey.manifest(lost.answered.manifest.digest));
    await outbox.add(lost);
    await outbox.add(await stockImage(storage.store, "htop"));
    await outbox.drained();
    expect(edge.pointers.map(({ image }) => image?.recipe)).toStrictEqual(["cacert/htop/iana-etc"]);
    expect(String(lines.find(({ msg }) => msg === "backfill dropped")?.reason)).toMatch(/is gone/);
    // Made again, it is given again.
    await outbox.add(await stockImage(storage.store, "git"));
    await outbox.drained();
    expect(edge.pointers).toHaveLength(2);
  });

  test("sends an image that is answered again only when something has changed", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const { outbox } = await open(onTestFinished, storage, edge.url);
    const same = await stockImage(storage.store, "git");
    for (const image of [same, same, await stockImage(storage.store, "git")]) {
      await outbox.add(image);
      await outbox.drained();
    }
    expect(edge.pointers).toHaveLength(1);
    await outbox.add(await stockImage(storage.store, "git", { resolvedAtMs: NOW_MS + 1 }));
    await outbox.add(await stockImage(storage.store, "git", { variant: "docker-gzip" }));
    await outbox.add(await stockImage(storage.store, "git", { variant: "oci-zstd" }));
    await outbox.drained();
    expect(edge.pointers).toHaveLength(4);
  });

  test("sends the newer of two answers that came while the older was under way", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const { outbox } = await open(onTestFinished, storage, edge.url);
    const [older, newer] = [
      await stockImage(storage.store, "git", { commit: FIRST_COMMIT }),
      await stockImage(storage.store, "git", { commit: SECOND_COMMIT, resolvedAtMs: NOW_MS + 1 }),
    ];
    const gate = Promise.withResolvers<void>();
    edge.before = ({ kind }) => (kind === "pointers" ? gate.promise : undefined);
    const nearlyDone = edge.next(({ kind }) => kind === "manifest");
    await outbox.add(older);
    await nearlyDone;
    await outbox.add(newer);
    gate.resolve();
    await outbox.drained();
    expect(edge.pointers.map(({ image }) => image?.pin)).toStrictEqual(
      [FIRST_COMMIT, SECOND_COMMIT].map(pinOf),
    );
    await outbox.close();
    expect(await listed(storage.store, "outbox/")).toStrictEqual([]);
  });

  test("removes what it cannot read, and sends the rest", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const left = await open(onTestFinished, storage, "http://127.0.0.1:9");
    await left.outbox.add(await stockImage(storage.store, "git"));
    await left.stop();
    for (const [index, text] of ["", "{", "{}", "null", '{"recipe":1}'].entries()) {
      const key = storageKey.outbox("git", tagOf("junk"), `${index}`);
      await storage.store.store(key, bytesOf(text));
    }
    const { outbox, lines } = await open(onTestFinished, storage, edge.url);
    await outbox.drained();
    expect(edge.pointers).toHaveLength(1);
    await outbox.close();
    expect(await listed(storage.store, "outbox/")).toStrictEqual([]);
    expect(lines.filter(({ msg }) => /unreadable/.test(msg))).toHaveLength(5);
  });

  test("outlives a fault in the pushing of one image", async () => {
    const { store } = await openStorage(onTestFinished);
    const { log, lines } = readableLog();
    const pushed: string[] = [];
    let faults = 0;
    const push: Pusher = async (entry) => {
      assert("recipe" in entry);
      const { recipe } = entry;
      if (recipe === "cacert/git/iana-etc" && faults++ < 3) throw new Error("a fault");
      pushed.push(recipe);
      return { kind: "pushed", uploads: 0 };
    };
    const outbox = await openOutbox({ store, push, log, firstRetryMs: 1 });
    await outbox.add(await stockImage(store, "git"));
    await outbox.add(await stockImage(store, "htop"));
    await outbox.drained();
    await outbox.close();
    expect(pushed.toSorted()).toStrictEqual(["cacert/git/iana-etc", "cacert/htop/iana-etc"]);
    expect(lines.filter(({ msg }) => msg === "a push failed")).toHaveLength(3);
  });

  test("ends at once though an edge holds its request, and keeps the image", async () => {
    const storage = await openStorage(onTestFinished);
    const edge = await startEdge(onTestFinished);
    const gate = Promise.withResolvers<void>();
    onTestFinished(() => gate.resolve());
    const arrived = Promise.withResolvers<void>();
    edge.before = () => {
      arrived.resolve();
      return gate.promise;
    };
    const { outbox, stop } = await open(onTestFinished, storage, edge.url);
    await outbox.add(await stockImage(storage.store, "git"));
    await arrived.promise;
    await stop();
    expect(await listed(storage.store, "outbox/")).toHaveLength(1);
    expect(
      await storage.store.sizeBytes(storageKey.pushed(edge.url, digestOfText("x"))),
    ).toBeUndefined();
  });
});
