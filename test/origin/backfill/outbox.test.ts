// The outbox against a small edge: what waits on disk, when it is tried again, what is given up.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { createEdgeClient } from "../../../origin/backfill/edge-client.ts";
import { type Outbox, openOutbox } from "../../../origin/backfill/outbox.ts";
import { createPusher, type Pusher } from "../../../origin/backfill/push.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { RegistryError } from "../../../registry/http/error.ts";
import { bytesOf } from "../../contract/blob-store.ts";
import { digestOfText, pinOf, tagOf } from "../../registry/fixture.ts";
import { readableLog } from "../fixture.ts";
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
async function open(t: TestContext, { store }: Storage, url: string): Promise<Opened> {
  const { log, lines } = readableLog();
  const ending = new AbortController();
  const { signal } = ending;
  const edge = createEdgeClient({ url, secretKeys: SECRET_KEYS, now: () => NOW_MS, signal });
  const push = createPusher({ store, edge, packings: PACKINGS, log });
  const outbox = await openOutbox({ store, push, log, firstRetryMs: 1 });
  const stop = async () => {
    ending.abort();
    await outbox.close();
  };
  t.after(stop);
  return { outbox, lines, stop };
}

describe("the outbox", limit, () => {
  test("has an image on disk before it is added, and nothing once the edge has it", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    const { outbox } = await open(t, storage, edge.url);
    const gate = Promise.withResolvers<void>();
    edge.before = () => gate.promise;
    await outbox.add(await stockImage(storage.store, "git"));
    assert.equal((await storage.store.list("outbox/")).length, 1);
    gate.resolve();
    await outbox.drained();
    assert.equal(edge.pointers.length, 1);
    await outbox.close();
    assert.deepEqual(await storage.store.list("outbox/"), []);
  });

  test("is drained at once when it is empty, and ends", async (t) => {
    const { outbox, stop } = await open(t, await openStorage(t), "http://127.0.0.1:9");
    await outbox.drained();
    await stop();
  });

  test("gives a restarted origin what the edge has yet to get, oldest first", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    await edge.stop();
    const first = await open(t, storage, edge.url);
    for (const [index, name] of ["perl", "git", "htop"].entries()) {
      const resolvedAtMs = NOW_MS - index * 1000;
      await first.outbox.add(await stockImage(storage.store, name, { resolvedAtMs }));
    }
    await first.stop();
    assert.equal((await storage.store.list("outbox/")).length, 3);

    await edge.start();
    const second = await open(t, storage, edge.url);
    await second.outbox.drained();
    assert.deepEqual(
      edge.pointers.map(({ image }) => image?.recipe),
      ["cacert/htop/iana-etc", "cacert/git/iana-etc", "cacert/iana-etc/perl"],
    );
  });

  test("gives a restarted origin an index with its images", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    await edge.stop();
    const first = await open(t, storage, edge.url);
    await first.outbox.add(await stockIndex(storage.store, "git"));
    await first.stop();
    await edge.start();
    const second = await open(t, storage, edge.url);
    await second.outbox.drained();
    assert.deepEqual(
      edge.pointers.map(({ image }) => image?.recipe),
      ["cacert/git/iana-etc", "arm64/cacert/git/iana-etc", "amd64+arm64/cacert/git/iana-etc"],
    );
    assert.deepEqual(await storage.store.list("outbox/"), []);
  });

  test("tries again until the edge is back, and sends no blob twice", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    const { outbox, lines } = await open(t, storage, edge.url);
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
    assert.equal(new Set(blobs).size, blobs.length);
    assert.equal(edge.pointers.length, 1);
    const waits = lines.filter(({ msg }) => msg === "backfill waits").map(({ delayMs }) => delayMs);
    assert.deepEqual(
      waits,
      waits.map((_, index) => Math.min(2 ** index, 60_000)),
    );
  });

  test("gives an edge that was emptied all it lacks", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    const { outbox } = await open(t, storage, edge.url);
    await outbox.add(await stockImage(storage.store, "git"));
    await outbox.drained();
    const held = edge.blobs.size;
    edge.blobs.clear();
    await outbox.add(await stockImage(storage.store, "git", { commit: SECOND_COMMIT }));
    await outbox.drained();
    assert.equal(edge.blobs.size, held);
  });

  test("lets an image the edge refuses wait behind the others", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    const { outbox, lines } = await open(t, storage, edge.url);
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
    assert(refusals > 0);
    assert(lines.some(({ reason }) => reason === "400 not this one"));
    edge.before = () => {};
    await outbox.drained();
    assert.equal(edge.pointers.length, 2);
  });

  test("drops an image whose manifest the storage has lost, and goes on", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    const { outbox, lines } = await open(t, storage, edge.url);
    const lost = await stockImage(storage.store, "git");
    await storage.store.remove(storageKey.manifest(lost.answered.manifest.digest));
    await outbox.add(lost);
    await outbox.add(await stockImage(storage.store, "htop"));
    await outbox.drained();
    assert.deepEqual(
      edge.pointers.map(({ image }) => image?.recipe),
      ["cacert/htop/iana-etc"],
    );
    assert.match(String(lines.find(({ msg }) => msg === "backfill dropped")?.reason), /is gone/);
    // Made again, it is given again.
    await outbox.add(await stockImage(storage.store, "git"));
    await outbox.drained();
    assert.equal(edge.pointers.length, 2);
  });

  test("sends an image that is answered again only when something has changed", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    const { outbox } = await open(t, storage, edge.url);
    const same = await stockImage(storage.store, "git");
    for (const image of [same, same, await stockImage(storage.store, "git")]) {
      await outbox.add(image);
      await outbox.drained();
    }
    assert.equal(edge.pointers.length, 1);
    await outbox.add(await stockImage(storage.store, "git", { resolvedAtMs: NOW_MS + 1 }));
    await outbox.add(await stockImage(storage.store, "git", { variant: "docker-gzip" }));
    await outbox.add(await stockImage(storage.store, "git", { variant: "oci-zstd" }));
    await outbox.drained();
    assert.equal(edge.pointers.length, 4);
  });

  test("sends the newer of two answers that came while the older was under way", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    const { outbox } = await open(t, storage, edge.url);
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
    assert.deepEqual(
      edge.pointers.map(({ image }) => image?.pin),
      [FIRST_COMMIT, SECOND_COMMIT].map(pinOf),
    );
    await outbox.close();
    assert.deepEqual(await storage.store.list("outbox/"), []);
  });

  test("removes what it cannot read, and sends the rest", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    const left = await open(t, storage, "http://127.0.0.1:9");
    await left.outbox.add(await stockImage(storage.store, "git"));
    await left.stop();
    for (const [index, text] of ["", "{", "{}", "null", '{"recipe":1}'].entries()) {
      const key = storageKey.outbox("git", tagOf("junk"), `${index}`);
      await storage.store.store(key, bytesOf(text));
    }
    const { outbox, lines } = await open(t, storage, edge.url);
    await outbox.drained();
    assert.equal(edge.pointers.length, 1);
    await outbox.close();
    assert.deepEqual(await storage.store.list("outbox/"), []);
    assert.equal(lines.filter(({ msg }) => /unreadable/.test(msg)).length, 5);
  });

  test("outlives a fault in the pushing of one image", async (t) => {
    const { store } = await openStorage(t);
    const { log, lines } = readableLog();
    const pushed: string[] = [];
    let faults = 0;
    const push: Pusher = async ({ recipe }) => {
      if (recipe === "cacert/git/iana-etc" && faults++ < 3) throw new Error("a fault");
      pushed.push(recipe);
      return { kind: "pushed", uploads: 0 };
    };
    const outbox = await openOutbox({ store, push, log, firstRetryMs: 1 });
    await outbox.add(await stockImage(store, "git"));
    await outbox.add(await stockImage(store, "htop"));
    await outbox.drained();
    await outbox.close();
    assert.deepEqual(pushed.toSorted(), ["cacert/git/iana-etc", "cacert/htop/iana-etc"]);
    assert.equal(lines.filter(({ msg }) => msg === "a push failed").length, 3);
  });

  test("ends at once though an edge holds its request, and keeps the image", async (t) => {
    const storage = await openStorage(t);
    const edge = await startEdge(t);
    const gate = Promise.withResolvers<void>();
    t.after(() => gate.resolve());
    const arrived = Promise.withResolvers<void>();
    edge.before = () => {
      arrived.resolve();
      return gate.promise;
    };
    const { outbox, stop } = await open(t, storage, edge.url);
    await outbox.add(await stockImage(storage.store, "git"));
    await arrived.promise;
    await stop();
    assert.equal((await storage.store.list("outbox/")).length, 1);
    assert.equal(
      await storage.store.sizeBytes(storageKey.pushed(edge.url, digestOfText("x"))),
      undefined,
    );
  });
});
