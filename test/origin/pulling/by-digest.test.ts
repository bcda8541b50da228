// A blob that the storage has lost: its client is held while it is made again.

import { describe, expect, onTestFinished, test } from "vitest";
import type { Remade } from "../../../origin/images/lost-layers.ts";
import { type PullingByDigest, serveBlob } from "../../../origin/pulling/by-digest.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { isStillBuilding } from "../../../registry/http/building.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";

const CONTENT = "a layer";
const DIGEST = digestOfText(CONTENT);
const sizeBytes = CONTENT.length;
const REMADE: Remade = { kind: "remade", layer: { digest: DIGEST, diffId: DIGEST, sizeBytes } };
const BUSY: Remade = { kind: "busy", waiting: 7 };
const ASKER = { isKnown: false, client: "x" };

/** Makes the layer again as the results say, the last of them from then on. */
async function prepare(holdMs: number, ...results: readonly (Remade | "under way")[]) {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  let tries = 0;
  const options: PullingByDigest = {
    store,
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
  return { answer: serveBlob(options, request, DIGEST, ASKER), tries: () => tries };
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
