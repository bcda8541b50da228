// One image given to an edge: what is sent, in which order, and what becomes of a step that fails.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { createEdgeClient } from "../../../origin/backfill/edge-client.ts";
import type { ImageEntry, OutboxEntry } from "../../../origin/backfill/entry.ts";
import { type AnsweredImage, openOutbox } from "../../../origin/backfill/outbox.ts";
import { createPusher, type Pusher } from "../../../origin/backfill/push.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { MAX_RECORDS_PER_BODY } from "../../../registry/between/backfill.ts";
import { RegistryError } from "../../../registry/http/error.ts";
import { COMPOSE_VERSION } from "../../../registry/image/compose.ts";
import { recordLayers } from "../../../registry/image/record.ts";
import { foundOf, recipeOf, recordOf } from "../../registry/fixture.ts";
import { GROUND_LAYER, ingredientsOf, recordsOf } from "../../registry/pantry.ts";
import { readableLog } from "../fixture.ts";
import { type SmallEdge, startEdge } from "./edge.ts";
import {
  NOW_MS,
  openStorage,
  PACKINGS,
  POPULARITY,
  SECRET_KEYS,
  stockImage,
  stockIndex,
} from "./fixture.ts";

interface Setting {
  readonly store: BlobStore;
  readonly edge: SmallEdge;
  readonly push: Pusher;
}

async function prepare(t: TestContext): Promise<Setting> {
  const { store } = await openStorage(t);
  const edge = await startEdge(t);
  const { signal } = new AbortController();
  const client = createEdgeClient({
    url: edge.url,
    secretKeys: SECRET_KEYS,
    now: () => NOW_MS,
    signal,
  });
  return {
    store,
    edge,
    push: createPusher({ store, edge: client, packings: PACKINGS, log: readableLog().log }),
  };
}

/** The entry that the outbox makes of an image. */
async function entryOf(store: BlobStore, image: AnsweredImage): Promise<OutboxEntry> {
  const entries: OutboxEntry[] = [];
  const push: Pusher = async (entry) => {
    entries.push(entry);
    return { kind: "pushed", uploads: 0 };
  };
  const outbox = await openOutbox({ store, push, log: readableLog().log });
  await outbox.add(image);
  await outbox.drained();
  await outbox.close();
  const [entry] = entries;
  assert(entry !== undefined);
  return entry;
}

async function stocked(store: BlobStore, ...args: [string, Parameters<typeof stockImage>[2]?]) {
  const entry = await entryOf(store, await stockImage(store, ...args));
  assert(!("index" in entry));
  return entry;
}

const kinds = (edge: SmallEdge) => edge.received.map(({ kind }) => kind);
const digestsOf = (edge: SmallEdge, kind: string) =>
  edge.received.flatMap((each) => (each.kind === kind && each.digest ? [each.digest] : []));

describe("a push", () => {
  test("sends blobs, records, lookups, the manifest and pointers, in this order", async (t) => {
    const { store, edge, push } = await prepare(t);
    const entry = await stocked(store, "shell/git");
    const outcome = await push(entry);
    const blobs = digestsOf(edge, "blob");
    assert.deepEqual(outcome, { kind: "pushed", uploads: blobs.length });
    assert.deepEqual(kinds(edge), [
      ...blobs.map(() => "blob"),
      ...["records", "lookups", "manifest", "pointers"],
    ]);
    assert.equal(new Set(blobs).size, blobs.length);
    assert(blobs.includes(GROUND_LAYER.digest));
    assert(blobs.includes(entry.config));
    assert(blobs.includes(POPULARITY.digest), "the data that the packing names");
  });

  test("sends an index after the images it names, each whole and with pointers of its own", async (t) => {
    const { store, edge, push } = await prepare(t);
    const entry = await entryOf(store, await stockIndex(store, "git"));
    assert("index" in entry);
    assert.equal((await push(entry)).kind, "pushed");
    const whole = ["records", "lookups", "manifest", "pointers"];
    assert.deepEqual(
      kinds(edge).filter((kind) => kind !== "blob"),
      // The images of this index have the same records.
      [...whole, ...whole.slice(1), "manifest", "pointers"],
    );
    const images = entry.images.map(({ manifest }) => manifest);
    assert.deepEqual(digestsOf(edge, "manifest"), [...images, entry.index]);
    assert.deepEqual(
      edge.pointers.map(({ image }) => [image?.recipe, image?.digest, image?.omitted]),
      [
        ["cacert/git/iana-etc", images[0], null],
        ["arm64/cacert/git/iana-etc", images[1], null],
        ["amd64+arm64/cacert/git/iana-etc", entry.index, 'linux/arm64="as a test says"'],
      ],
    );
    const sent = edge.received.filter(({ kind }) => kind === "manifest").at(-1);
    assert.equal(sent?.headers["content-type"], "application/vnd.oci.image.index.v1+json");
  });

  test("gives up an index that the storage has lost", async (t) => {
    const { store, edge, push } = await prepare(t);
    const image = await stockIndex(store, "git");
    await store.remove(storageKey.manifest(image.answered.manifest.digest));
    assert.equal((await push(await entryOf(store, image))).kind, "dropped");
    assert.deepEqual(edge.pointers, []);
  });

  test("tells the length of every body, and sends none in chunks", async (t) => {
    const { store, edge, push } = await prepare(t);
    await push(await stocked(store, "git"));
    for (const { kind, headers, body } of edge.received) {
      assert.equal(headers["content-length"], String(body.length), kind);
      assert.equal(headers["transfer-encoding"], undefined, kind);
    }
  });

  test("points the tag and the image to what it has sent", async (t) => {
    const { store, edge, push } = await prepare(t);
    const entry = await stocked(store, "git");
    await push(entry);
    const { pin, packing, resolvedAtMs, recipe, manifest: digest } = entry;
    assert.deepEqual(edge.pointers, [
      {
        tag: {
          tag: "latest",
          pins: {
            ...{ pins: [{ pin, resolvedAtMs }], packings: PACKINGS },
            composeVersion: COMPOSE_VERSION,
          },
        },
        image: {
          tag: "latest",
          variant: "oci-gzip",
          ...{ recipe, digest, pin, packing, resolvedAtMs, omitted: null },
        },
      },
    ]);
    const [manifest] = edge.received.filter(({ kind }) => kind === "manifest");
    assert.equal(manifest?.digest, digest);
    assert.equal(manifest.headers["content-type"], "application/vnd.oci.image.manifest.v1+json");
  });

  test("sends a blob and a record once, however many images hold it", async (t) => {
    const { store, edge, push } = await prepare(t);
    await push(await stocked(store, "git"));
    const before = new Set(digestsOf(edge, "blob"));
    edge.received.length = 0;
    const entry = await stocked(store, "git/perl");
    assert.deepEqual(await push(entry), { kind: "pushed", uploads: 3 });
    for (const digest of digestsOf(edge, "blob")) assert(!before.has(digest));
    edge.received.length = 0;
    assert.deepEqual(await push(entry), { kind: "pushed", uploads: 0 });
    assert.deepEqual(kinds(edge), ["lookups", "manifest", "pointers"]);
  });

  test("sends records again once the edge has refused anything", async (t) => {
    const { store, edge, push } = await prepare(t);
    const entry = await stocked(store, "git");
    await push(entry);
    edge.before = ({ kind }) => {
      if (kind === "lookups") throw new RegistryError("MANIFEST_INVALID", "without a record");
    };
    assert.equal((await push(entry)).kind, "retry");
    edge.before = () => {};
    edge.received.length = 0;
    assert.equal((await push(entry)).kind, "pushed");
    assert.deepEqual(kinds(edge), ["records", "lookups", "manifest", "pointers"]);
  });

  test("sends a record again that has got layers since", async (t) => {
    const { store, edge, push } = await prepare(t);
    await push(await stocked(store, "git"));
    const joined = recordsOf(ingredientsOf("git"), "gzip").map((record) => {
      const layer = record.bundles[0] ?? null;
      return { ...record, coarser: [[{ members: [0], popularity: 0, holdsView: false, layer }]] };
    });
    const again = await stocked(store, "git", { records: joined });
    edge.received.length = 0;
    assert.equal((await push(again)).kind, "pushed");
    assert.equal(kinds(edge).filter((kind) => kind === "records").length, 1);
  });

  test("sends each part, and more records than one body takes in several", async (t) => {
    const { store, edge, push } = await prepare(t);
    const names = Array.from({ length: 2 * MAX_RECORDS_PER_BODY }, (_, index) => `p${index}`);
    const name = names.join("/");
    const ingredients = recipeOf(name).packages.map((each) => ({
      name: each,
      found: foundOf(each),
    }));
    const entry = await stocked(store, name, { ingredients });
    assert.equal((await push(entry)).kind, "pushed");
    const bodies = edge.received.filter(({ kind }) => kind === "records");
    const counts = bodies.map(({ body }) => JSON.parse(String(body)).records.length);
    assert.deepEqual(counts, [16, 16, 1]);
  });

  test("sends the blobs again that the edge says it lacks", async (t) => {
    const { store, edge, push } = await prepare(t);
    const entry = await stocked(store, "git");
    await push(entry);
    const [lost] = digestsOf(edge, "blob");
    assert(lost !== undefined);
    edge.blobs.delete(lost);
    edge.received.length = 0;
    assert.equal((await push(entry)).kind, "retry");
    assert(!kinds(edge).includes("pointers"));
    edge.received.length = 0;
    assert.deepEqual(await push(entry), { kind: "pushed", uploads: 1 });
    assert.deepEqual(digestsOf(edge, "blob"), [lost]);
  });

  test("fills an edge anew that was emptied", async (t) => {
    const { store, edge, push } = await prepare(t);
    const entry = await stocked(store, "git");
    await push(entry);
    const held = new Set(edge.blobs.keys());
    edge.blobs.clear();
    const outcomes = [await push(entry), await push(entry), await push(entry)];
    assert.equal(outcomes.at(-1)?.kind, "pushed");
    assert.deepEqual(new Set(edge.blobs.keys()), held);
  });

  test("ends before anything that would name what the edge does not have", async (t) => {
    for (const failing of ["blob", "records", "lookups", "manifest", "pointers"] as const) {
      const { store, edge, push } = await prepare(t);
      edge.before = ({ kind }) => {
        if (kind === failing) throw new RegistryError("UNAVAILABLE", "not now");
      };
      const outcome = await push(await stocked(store, "git"));
      assert.deepEqual(outcome, { kind: "retry", reason: "503 not now" });
      const order = ["blob", "records", "lookups", "manifest", "pointers"];
      const later = order.slice(order.indexOf(failing));
      assert.deepEqual(
        kinds(edge).filter((kind) => later.includes(kind)),
        [],
      );
      edge.before = () => {};
      assert.equal((await push(await stocked(store, "git"))).kind, "pushed");
    }
  });

  const losses: readonly [
    what: string,
    keyOf: (entry: ImageEntry) => ReturnType<typeof storageKey.layer>,
  ][] = [
    ["manifest", (entry) => storageKey.manifest(entry.manifest)],
    ["config", (entry) => storageKey.layer(entry.config)],
    ["ground", () => storageKey.layer(GROUND_LAYER.digest)],
    [
      "layer",
      () => storageKey.layer(recordLayers(recordOf("htop-3.2.2"))[0]?.digest ?? assert.fail()),
    ],
    ["record", () => storageKey.record(PACKINGS.gzip, recordOf("htop-3.2.2"))],
    [
      "lookup",
      ({ pin, system, packages }) =>
        storageKey.lookup(pin, system, packages.at(-1) ?? assert.fail()),
    ],
  ];
  for (const [what, keyOf] of losses) {
    test(`gives up an image whose ${what} the storage has lost`, async (t) => {
      const { store, edge, push } = await prepare(t);
      const entry = await stocked(store, "htop");
      await store.remove(keyOf(entry));
      const outcome = await push(entry);
      assert.equal(outcome.kind, "dropped", JSON.stringify(outcome));
      assert(!kinds(edge).includes("manifest"));
      assert(!kinds(edge).includes("pointers"));
    });
  }

  test("gives up an image whose record is unreadable", async (t) => {
    const { store, push } = await prepare(t);
    const entry = await stocked(store, "htop");
    const key = storageKey.record(PACKINGS.gzip, recordOf("htop-3.2.2"));
    for (const text of ["{}", "{", ""]) {
      await store.store(key, new TextEncoder().encode(text));
      assert.equal((await push(entry)).kind, "dropped", text);
    }
  });
});
