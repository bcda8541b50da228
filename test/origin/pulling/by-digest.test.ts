// A blob that the storage has lost: its client is held while it is made again. One that clients get from
// the storage by themselves: they are sent there, if it is there.

import { describe, expect, onTestFinished, test } from "vitest";
import { createKeptImages } from "../../../origin/images/kept-images.ts";
import type { Remade } from "../../../origin/images/lost-layers.ts";
import { rememberImages } from "../../../origin/memory/recent-documents.ts";
import { createPullNotes } from "../../../origin/pulled/pull-notes.ts";
import type { Asker } from "../../../origin/pulling/asker.ts";
import { serveBlob } from "../../../origin/pulling/blobs.ts";
import type { PullingByDigest } from "../../../origin/pulling/by-digest.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { FOLLOW, NEVER, REDIRECTS_HEADER } from "../../../registry/between/redirects.ts";
import { isStillBuilding } from "../../../registry/http/building.ts";
import { digestOfText, recipeOf } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";

const CONTENT = "a layer";
const DIGEST = digestOfText(CONTENT);
const sizeBytes = CONTENT.length;
const REMADE: Remade = { kind: "remade", layer: { digest: DIGEST, diffId: DIGEST, sizeBytes } };
const BUSY: Remade = { kind: "busy", waiting: 7 };
const ASKER = { isKnown: false, client: "x" };

/** Nothing was made lately, and nothing can be composed. */
function withoutImages(store: BlobStore) {
  const { log } = readableLog();
  return {
    ...{ store, recent: rememberImages(), log },
    again: { manifest: async () => undefined, config: async () => undefined },
    kept: createKeptImages({ store, now: () => 0, log }),
    pulls: createPullNotes({ store, now: () => 0, log }),
    ...({ platforms: ["amd64"], zstd: "known" } as const),
  };
}

/** Makes the layer again as the results say, the last of them from then on. */
async function prepare(holdMs: number, ...results: readonly (Remade | "under way")[]) {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  let tries = 0;
  const options: PullingByDigest = {
    ...{ ...withoutImages(store), links: null, redirectStatus: 307 },
    holds: { holdMs, buildDeadlineMs: 60_000 },
    lost: {
      async remake(digest) {
        const result = results[Math.min(tries++, results.length - 1)] ?? BUSY;
        if (result === "under way") return new Promise<never>(() => {});
        if (result.kind === "remade") {
          await store.store(storageKey.layer(digest), new TextEncoder().encode(CONTENT));
        }
        return result;
      },
    },
  };
  const headers = { "User-Agent": "containerd/v2.3.1" };
  const request = new Request(`http://origin/v2/x/blobs/${DIGEST}`, { headers });
  const named = { recipe: recipeOf("x"), digest: DIGEST };
  return { answer: serveBlob(options, request, named, ASKER), tries: () => tries };
}

describe("GET of a lost blob", { timeout: 30_000 }, () => {
  test("is answered when it is made, for which there was no room at first", async () => {
    const { answer, tries } = await prepare(60_000, BUSY, REMADE);
    expect(await (await answer).text()).toBe(CONTENT);
    expect(tries()).toBe(2);
  });

  test("is told before its client gives up that it is being made, or finds no room", async () => {
    const under = await prepare(1, "under way");
    await expect(under.answer).rejects.toThrow("not ready yet: packing layers; try again");
    const told = await under.answer.catch((error: unknown) => error);
    expect(told).toMatchObject({ code: "TOOMANYREQUESTS" });
    expect(isStillBuilding((told as { options: { detail: unknown } }).options.detail)).toBe(true);
    const full = await prepare(1, BUSY);
    await expect(full.answer).rejects.toThrow(/7 wait already/);
  });
});

const LINK = "https://storage.example/layers";

async function prepareLinks(over: Partial<PullingByDigest> = {}) {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  await store.store(storageKey.layer(DIGEST), new TextEncoder().encode(CONTENT));
  const options: PullingByDigest = {
    ...withoutImages(store),
    ...{ redirectStatus: 307, holds: { holdMs: 1, buildDeadlineMs: 60_000 } },
    links: { to: async (key, method) => `${LINK}/${key}?${method}` },
    lost: { remake: async () => ({ kind: "gone" }) },
    ...over,
  };
  return (init: RequestInit = {}, asker: Asker = ASKER, digest = DIGEST) =>
    serveBlob(
      options,
      new Request(`http://origin/v2/x/blobs/${digest}`, init),
      { recipe: recipeOf("x"), digest },
      asker,
    );
}

describe("a blob that is in a bucket", () => {
  const EDGE: Asker = { isKnown: true, client: "x" };
  const sent: readonly (readonly [what: string, init: RequestInit, asker: Asker])[] = [
    ["GET", {}, ASKER],
    ["HEAD", { method: "HEAD" }, ASKER],
    ["a range", { headers: { Range: "bytes=2-3" } }, ASKER],
    ["the edge's GET", { headers: { [REDIRECTS_HEADER]: FOLLOW } }, EDGE],
  ];
  test.for(sent)("sends %s there", async ([, init, asker]) => {
    for (const redirectStatus of [307, 303] as const) {
      const response = await (await prepareLinks({ redirectStatus }))(init, asker);
      expect(response.status).toBe(redirectStatus);
      expect(await response.text()).toBe("");
      expect(Object.fromEntries(response.headers)).toMatchObject({
        location: `${LINK}/${storageKey.layer(DIGEST)}?${init.method ?? "GET"}`,
        "docker-content-digest": DIGEST,
        "cache-control": "no-store",
        "content-length": "0",
      });
    }
  });

  const streamed: readonly (readonly [
    what: string,
    headers: Readonly<Record<string, string>>,
    asker: Asker,
  ])[] = [
    ["an edge that is older", {}, EDGE],
    ["an edge that wants it so", { [REDIRECTS_HEADER]: NEVER }, EDGE],
    ["an edge without a secret that wants it so", { [REDIRECTS_HEADER]: NEVER }, ASKER],
  ];
  test.for(streamed)("is streamed to %s", async ([, headers, asker]) => {
    const response = await (await prepareLinks())({ headers }, asker);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(CONTENT);
  });

  test("is streamed where no address can be had", async () => {
    for (const links of [null, { to: async () => undefined }]) {
      const response = await (await prepareLinks({ links }))();
      expect(response.status).toBe(200);
      expect(await response.text()).toBe(CONTENT);
    }
  });

  const settled: readonly (readonly [status: number, headers: Readonly<Record<string, string>>])[] =
    [
      [304, { "If-None-Match": `"${DIGEST}"` }],
      [412, { "If-Match": '"another"' }],
      [416, { Range: "bytes=100-" }],
    ];
  test.for(settled)("sends nobody there for %i", async ([status, headers]) => {
    const response = await (await prepareLinks())({ headers });
    expect(response.status).toBe(status);
    expect(response.headers.has("Location")).toBe(false);
  });

  test("sends nobody there that is not there", async () => {
    const answer = (await prepareLinks())({}, ASKER, digestOfText("another"));
    await expect(answer).rejects.toThrow(/no blob .* is kept here/);
  });
});
