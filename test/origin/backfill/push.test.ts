// One image given to an edge: what is sent, in which order, and what becomes of a step that fails.

import { assert, describe, expect, onTestFinished, test } from "vitest";
import { createEdgeClient } from "../../../origin/backfill/edge-client.ts";
import type { AnsweredImage, ImageEntry, OutboxEntry } from "../../../origin/backfill/entry.ts";
import { openOutbox } from "../../../origin/backfill/outbox.ts";
import { createPusher, type Pusher } from "../../../origin/backfill/push.ts";
import type { Remade } from "../../../origin/images/lost-layers.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import {
  callsForRecords,
  MAX_CALLS_PER_BODY,
  MAX_RECORDS_PER_BODY,
} from "../../../registry/between/backfill.ts";
import { RegistryError } from "../../../registry/http/error.ts";
import { COMPOSE_VERSION } from "../../../registry/image/compose.ts";
import { recordLayers } from "../../../registry/image/record.ts";
import type { Digest } from "../../../registry/naming/digest.ts";
import { foundOf, recipeOf, recordOf } from "../../registry/fixture.ts";
import { GROUND_LAYER, ingredientsOf, recordsOf } from "../../registry/pantry.ts";
import { type Ending, readableLog } from "../fixture.ts";
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
  /** What layers were to be made of again; none can be but by what a test says. */
  readonly remade: Digest[];
  remaking: (digest: Digest) => Promise<Remade>;
}

async function prepare(onEnd: Ending): Promise<Setting> {
  const { store } = await openStorage(onEnd);
  const edge = await startEdge(onEnd);
  const { signal } = new AbortController();
  const client = createEdgeClient({
    url: edge.url,
    secretKeys: SECRET_KEYS,
    now: () => NOW_MS,
    signal,
  });
  const remake = (digest: Digest) => {
    setting.remade.push(digest);
    return setting.remaking(digest);
  };
  const { log } = readableLog();
  const setting: Setting = {
    ...{ store, edge, remade: [] },
    push: createPusher({
      store,
      edge: client,
      packings: PACKINGS,
      remake,
      ownPins: () => null,
      now: () => NOW_MS,
      log,
    }),
    remaking: async () => ({ kind: "gone" }),
  };
  return setting;
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
  assert("manifest" in entry);
  return entry;
}

const kinds = (edge: SmallEdge) => edge.received.map(({ kind }) => kind);
const digestsOf = (edge: SmallEdge, kind: string) =>
  edge.received.flatMap((each) => (each.kind === kind && each.digest ? [each.digest] : []));

describe("a push", () => {
  test("sends blobs, records, lookups, the manifest and pointers, in this order", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "shell/git");
    const outcome = await push(entry);
    const blobs = digestsOf(edge, "blob");
    expect(outcome).toStrictEqual({ kind: "pushed", uploads: blobs.length });
    expect(kinds(edge)).toStrictEqual([
      ...blobs.map(() => "blob"),
      ...["records", "lookups", "manifest", "pointers"],
    ]);
    expect(new Set(blobs).size).toBe(blobs.length);
    expect(blobs).toContain(GROUND_LAYER.digest);
    expect(blobs).toContain(entry.config);
    expect(blobs, "the data that the packing names").toContain(POPULARITY.digest);
  });

  test("sends an index after the images it names, each whole and with pointers of its own", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await entryOf(store, await stockIndex(store, "git"));
    assert("index" in entry);
    expect((await push(entry)).kind).toBe("pushed");
    const whole = ["records", "lookups", "manifest", "pointers"];
    expect(kinds(edge).filter((kind) => kind !== "blob")).toStrictEqual([
      ...whole,
      ...whole.slice(1),
      "manifest",
      "pointers",
    ]);
    const images = entry.images.map(({ manifest }) => manifest);
    expect(digestsOf(edge, "manifest")).toStrictEqual([...images, entry.index]);
    expect(
      edge.pointers.map(({ image }) => [image?.recipe, image?.digest, image?.omitted]),
    ).toStrictEqual([
      ["cacert/git/iana-etc", images[0], null],
      ["arm64/cacert/git/iana-etc", images[1], null],
      ["amd64+arm64/cacert/git/iana-etc", entry.index, 'linux/arm64="as a test says"'],
    ]);
    const sent = edge.received.filter(({ kind }) => kind === "manifest").at(-1);
    expect(sent?.headers["content-type"]).toBe("application/vnd.oci.image.index.v1+json");
  });

  test("sends of an image that is not kept all but config and manifest, and points the tag alone", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "shell/git", { isKept: false });
    expect((await push(entry)).kind).toBe("pushed");
    expect(kinds(edge).filter((kind) => kind !== "blob")).toStrictEqual([
      ...["records", "lookups", "pointers"],
    ]);
    expect(digestsOf(edge, "blob")).not.toContain(entry.config);
    const { pin, resolvedAtMs } = entry;
    expect(edge.pointers.map(({ tag, image }) => [tag?.tag, tag?.pins.pins, image])).toStrictEqual([
      ["latest", [{ pin, resolvedAtMs }], null],
    ]);
  });

  test("sends of an index that is not kept what its images are composed of", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await entryOf(store, { ...(await stockIndex(store, "git")), isKept: false });
    expect((await push(entry)).kind).toBe("pushed");
    expect(kinds(edge).filter((kind) => kind !== "blob")).toStrictEqual([
      ...["records", "lookups", "pointers"],
      ...["lookups", "pointers"],
    ]);
    expect(edge.pointers.every(({ image }) => image === null)).toBe(true);
  });

  test("gives up an index that the storage has lost", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const image = await stockIndex(store, "git");
    await store.remove(storageKey.manifest(image.answered.manifest.digest));
    expect((await push(await entryOf(store, image))).kind).toBe("dropped");
    expect(edge.pointers).toStrictEqual([]);
  });

  test("tells the length of every body, and sends none in chunks", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    await push(await stocked(store, "git"));
    for (const { kind, headers, body } of edge.received) {
      expect(headers["content-length"], kind).toBe(String(body.length));
      expect(headers["transfer-encoding"], kind).toBeUndefined();
    }
  });

  test("points the tag and the image to what it has sent", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "git");
    await push(entry);
    const { pin, packing, resolvedAtMs, recipe, manifest: digest } = entry;
    expect(edge.pointers).toStrictEqual([
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
    expect(manifest?.digest).toBe(digest);
    expect(manifest?.headers["content-type"]).toBe("application/vnd.oci.image.manifest.v1+json");
  });

  test("sends a blob and a record once, however many images hold it", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    await push(await stocked(store, "git"));
    const before = new Set(digestsOf(edge, "blob"));
    edge.received.length = 0;
    const entry = await stocked(store, "git/perl");
    expect(await push(entry)).toStrictEqual({ kind: "pushed", uploads: 3 });
    for (const digest of digestsOf(edge, "blob")) expect(before.has(digest)).toBe(false);
    edge.received.length = 0;
    expect(await push(entry)).toStrictEqual({ kind: "pushed", uploads: 0 });
    expect(kinds(edge)).toStrictEqual(["lookups", "manifest", "pointers"]);
  });

  test("sends records again once the edge has refused anything", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "git");
    await push(entry);
    edge.before = ({ kind }) => {
      if (kind === "lookups") throw new RegistryError("MANIFEST_INVALID", "without a record");
    };
    expect((await push(entry)).kind).toBe("retry");
    edge.before = () => {};
    edge.received.length = 0;
    expect((await push(entry)).kind).toBe("pushed");
    expect(kinds(edge)).toStrictEqual(["records", "lookups", "manifest", "pointers"]);
  });

  test("sends a record again that has got layers since", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    await push(await stocked(store, "git"));
    const joined = recordsOf(ingredientsOf("git"), "gzip").map((record) => {
      const layer = record.bundles[0] ?? null;
      return { ...record, coarser: [[{ members: [0], popularity: 0, holdsView: false, layer }]] };
    });
    const again = await stocked(store, "git", { records: joined });
    edge.received.length = 0;
    expect((await push(again)).kind).toBe("pushed");
    expect(kinds(edge).filter((kind) => kind === "records")).toHaveLength(1);
  });

  test("sends each part, and more records than one body takes in several", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const names = Array.from({ length: 2 * MAX_RECORDS_PER_BODY }, (_, index) => `p${index}`);
    const name = names.join("/");
    const ingredients = recipeOf(name).packages.map((each) => ({
      name: each,
      found: foundOf(each),
    }));
    const entry = await stocked(store, name, { ingredients });
    expect((await push(entry)).kind).toBe("pushed");
    const bodies = edge.received.filter(({ kind }) => kind === "records");
    const sent = bodies.map(({ body }) => JSON.parse(String(body)).records);
    expect(sent.flat()).toHaveLength(2 * MAX_RECORDS_PER_BODY + 1);
    expect(sent.length).toBeGreaterThan(2);
    for (const records of sent) {
      expect(records.length).toBeLessThanOrEqual(MAX_RECORDS_PER_BODY);
      expect(callsForRecords(records)).toBeLessThanOrEqual(MAX_CALLS_PER_BODY);
    }
  });

  test("sends the blobs again that the edge says it lacks", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "git");
    await push(entry);
    const [lost] = digestsOf(edge, "blob");
    assert(lost !== undefined);
    edge.blobs.delete(lost);
    edge.received.length = 0;
    expect((await push(entry)).kind).toBe("retry");
    expect(kinds(edge)).not.toContain("pointers");
    edge.received.length = 0;
    expect(await push(entry)).toStrictEqual({ kind: "pushed", uploads: 1 });
    expect(digestsOf(edge, "blob")).toStrictEqual([lost]);
  });

  test("fills an edge anew that was emptied", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "git");
    await push(entry);
    const held = new Set(edge.blobs.keys());
    edge.blobs.clear();
    const outcomes = [await push(entry), await push(entry), await push(entry)];
    expect(outcomes.at(-1)?.kind).toBe("pushed");
    expect(new Set(edge.blobs.keys())).toStrictEqual(held);
  });

  test("ends before anything that would name what the edge does not have", async () => {
    for (const failing of ["blob", "records", "lookups", "manifest", "pointers"] as const) {
      const { store, edge, push } = await prepare(onTestFinished);
      edge.before = ({ kind }) => {
        if (kind === failing) throw new RegistryError("UNAVAILABLE", "not now");
      };
      const outcome = await push(await stocked(store, "git"));
      expect(outcome).toStrictEqual({ kind: "retry", reason: "503 not now" });
      const order = ["blob", "records", "lookups", "manifest", "pointers"];
      const later = order.slice(order.indexOf(failing));
      expect(kinds(edge).filter((kind) => later.includes(kind))).toStrictEqual([]);
      edge.before = () => {};
      expect((await push(await stocked(store, "git"))).kind).toBe("pushed");
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
      () =>
        storageKey.layer(recordLayers(recordOf("htop-3.2.2"))[0]?.digest ?? expect.unreachable()),
    ],
    ["record", () => storageKey.record(PACKINGS.gzip, recordOf("htop-3.2.2"))],
    [
      "lookup",
      ({ pin, system, packages }) =>
        storageKey.lookup(pin, system, packages.at(-1) ?? expect.unreachable()),
    ],
  ];
  test.for(losses)("gives up an image whose %s the storage has lost", async ([, keyOf]) => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "htop");
    await store.remove(keyOf(entry));
    const outcome = await push(entry);
    expect(outcome.kind, JSON.stringify(outcome)).toBe("dropped");
    expect(kinds(edge)).not.toContain("manifest");
    expect(kinds(edge)).not.toContain("pointers");
  });

  const HTOP = recordLayers(recordOf("htop-3.2.2"))[0] ?? expect.unreachable();
  const HTOP_KEY = storageKey.layer(HTOP.digest);
  const damages: readonly [what: string, of: (bytes: Uint8Array) => Uint8Array][] = [
    ["is cut short", (bytes) => bytes.subarray(0, bytes.length - 1)],
    ["is empty", () => new Uint8Array()],
    ["has a byte too many", (bytes) => Buffer.concat([bytes, Buffer.of(0)])],
    ["has one bit flipped", (bytes) => bytes.map((byte, place) => (place === 1 ? byte ^ 1 : byte))],
  ];

  test.for(damages)("has a layer made again that %s, and goes on", async ([, damage]) => {
    const setting = await prepare(onTestFinished);
    const { store, edge, push, remade } = setting;
    const entry = await stocked(store, "htop");
    const bytes = (await store.lookup(HTOP_KEY)) ?? expect.unreachable();
    await store.store(HTOP_KEY, damage(bytes));
    setting.remaking = async () => {
      expect(await store.sizeBytes(HTOP_KEY)).toBeUndefined();
      await store.store(HTOP_KEY, bytes);
      return { kind: "remade", layer: { ...HTOP, sizeBytes: bytes.length } };
    };
    expect((await push(entry)).kind).toBe("pushed");
    expect(remade).toStrictEqual([HTOP.digest]);
    expect(edge.blobs.get(HTOP.digest)).toStrictEqual(Buffer.from(bytes));
  });

  test("gives up an image whose layer is damaged and cannot be made, and leaves no damage", async () => {
    const { store, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "htop");
    await store.store(HTOP_KEY, new Uint8Array(5));
    expect((await push(entry)).kind).toBe("dropped");
    expect(await store.sizeBytes(HTOP_KEY)).toBeUndefined();
  });

  test("waits with an image whose layer cannot be made just now", async () => {
    const setting = await prepare(onTestFinished);
    const { store, push } = setting;
    const entry = await stocked(store, "htop");
    await store.remove(HTOP_KEY);
    setting.remaking = async () => ({ kind: "cancelled" });
    expect((await push(entry)).kind).toBe("retry");
  });

  test("keeps a layer that is whole, whatever an edge says of it", async () => {
    const { store, edge, push, remade } = await prepare(onTestFinished);
    const entry = await stocked(store, "htop");
    edge.before = ({ digest }) => {
      if (digest === HTOP.digest) throw new RegistryError("DIGEST_INVALID");
    };
    expect((await push(entry)).kind).toBe("retry");
    expect(await store.sizeBytes(HTOP_KEY)).toBeGreaterThan(0);
    expect(remade).toStrictEqual([]);
  });

  test("gives up an image whose manifest is damaged, and removes that", async () => {
    const { store, edge, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "htop");
    const key = storageKey.manifest(entry.manifest);
    await store.store(key, new TextEncoder().encode("{}"));
    expect((await push(entry)).kind).toBe("dropped");
    expect(kinds(edge)).not.toContain("manifest");
    expect(await store.sizeBytes(key)).toBeUndefined();
  });

  test("gives up an image whose record is unreadable", async () => {
    const { store, push } = await prepare(onTestFinished);
    const entry = await stocked(store, "htop");
    const key = storageKey.record(PACKINGS.gzip, recordOf("htop-3.2.2"));
    for (const text of ["{}", "{", ""]) {
      await store.store(key, new TextEncoder().encode(text));
      expect((await push(entry)).kind, text).toBe("dropped");
    }
  });
});
