// One of forty packages changes, through the running edge and origin: nobody waits, and only what
// changed is evaluated, built, packed and uploaded.

import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { type NumberedSet, plantNumberedSet } from "../origin/refresh/numbered-set.ts";
import { missingBlobs, type PulledManifest, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type LogLine, type Part } from "./deployment.ts";

const ALL = Array.from({ length: 40 }, (_, index) => `p${index + 1}`);
const CHANGED = "p7";
const WITH_IT = [ALL.slice(0, 30).join("/"), "p7", "p7/p8"];
const WITHOUT_IT = [ALL.slice(10).join("/"), "p8", "p1/p2/p3"];
const IMAGES = [...WITH_IT, ...WITHOUT_IT];
/** Seconds, at the origin and at the edge alike. */
const FRESH = "1";
const MOVED_DEADLINE_MS = 60_000;

const atEnd = endOfFile();
let set: NumberedSet;
let deployment: Deployment;
let origin: Part;
let moved: string;
const earlier = new Map<string, PulledManifest>();

const pull = (image: string) => pullManifest(deployment.edgeUrl, image);
const pinOf = (manifest: PulledManifest) => manifest.headers.get("nixport-pin");
const layersOf = (manifests: Iterable<PulledManifest>) =>
  new Set([...manifests].flatMap(({ layers }) => layers.map(({ digest }) => digest)));

function linesSince(start: number, msg: string): readonly LogLine[] {
  return origin.log.slice(start).filter((line) => line.msg === msg);
}

function startedSince(start: number, program: RegExp): number {
  const commands = linesSince(start, "started").map(
    ({ program, args }) => `${program} ${(args as string[]).join(" ")}`,
  );
  return commands.filter((command) => program.test(command)).length;
}

beforeAll(async () => {
  set = await plantNumberedSet(atEnd, ALL.length);
  await set.commit();
  deployment = await deploy({
    env: {
      NIXERY_PKGS_REPO: `file://${set.path}`,
      NIXPORT_PIN_FRESH: FRESH,
      PIN_FRESH_SECONDS: FRESH,
      NIXPORT_LOG_LEVEL: "debug",
    },
  });
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  for (const image of IMAGES) earlier.set(image, await pull(image));
  await origin.waitFor(() => linesSince(0, "backfilled").length >= IMAGES.length);
});

afterAll(() => deployment?.close());

describe("a tag that moves because of one package", () => {
  let start: number;

  test("makes nobody wait while that package is built", async () => {
    start = origin.log.length;
    moved = await set.commit({ [CHANGED]: "wait" });
    const deadline = AbortSignal.timeout(MOVED_DEADLINE_MS);
    while (startedSince(start, /--realise \S+\.drv/) === 0) {
      const answer = await pull("p7");
      expect(answer.digest).toBe(earlier.get("p7")?.digest);
      await setTimeout(100, undefined, { signal: deadline });
    }
    // The builder waits until the set is opened: whatever is answered now waited for nothing.
    for (const url of [deployment.edgeUrl, deployment.originUrl]) {
      const answer = await pullManifest(url, "p7/p8");
      expect(answer.digest).toBe(earlier.get("p7/p8")?.digest);
      expect(answer.headers.get("warning") ?? "").toMatch(/^299 /);
    }
  });

  test("is followed by one evaluation and one build, and packs what changed", async () => {
    await set.open();
    await origin.waitFor(() => linesSince(start, "refreshed").length > 0);
    const [refreshed] = linesSince(start, "refreshed");
    expect([refreshed?.pin, refreshed?.made]).toStrictEqual([moved, IMAGES.length]);
    // One of them fetches the revision.
    expect(startedSince(start, /nix-instantiate/)).toBe(2);
    expect(startedSince(start, /--realise \S+\.drv/)).toBe(1);
    for (const { storePaths } of linesSince(start, "packed")) {
      expect((storePaths as string[]).join()).toMatch(/^[^,]*-p7-1\.0$/);
    }
  });

  test("moves what the edge answers, and uploads new layers only, and configs of what is kept", async () => {
    const deadline = AbortSignal.timeout(MOVED_DEADLINE_MS);
    const later = new Map<string, PulledManifest>();
    while (later.size < IMAGES.length) {
      for (const image of IMAGES) {
        const manifest = await pull(image);
        if (pinOf(manifest) === moved) later.set(image, manifest);
      }
      await setTimeout(100, undefined, { signal: deadline });
    }
    const configs = new Set([...later.values()].map(({ config }) => config.digest));
    const uploaded = linesSince(start, "uploaded")
      .map(({ digest }) => String(digest))
      .filter((digest) => !configs.has(digest));
    const before = layersOf(earlier.values());
    const added = [...layersOf(later.values())].filter((digest) => !before.has(digest));
    expect(uploaded.toSorted()).toStrictEqual(added.toSorted());
    for (const [image, manifest] of later) {
      const isChanged = manifest.digest !== earlier.get(image)?.digest;
      expect(isChanged, image).toBe(WITH_IT.includes(image));
      expect(await missingBlobs(deployment.edgeUrl, manifest)).toStrictEqual([]);
    }
  });

  test("gives new combinations at once, without a process", async () => {
    const before = origin.log.length;
    const image = "p1/p40/p7";
    const answers = await Promise.all([pull(image), pullManifest(deployment.originUrl, image)]);
    expect(answers.map(pinOf)).toStrictEqual([moved, moved]);
    expect(new Set(answers.map(({ digest }) => digest)).size).toBe(1);
    expect(answers[0]?.headers.get("cache-status") ?? "").toMatch(/detail=composed/);
    expect(startedSince(before, /^nix/)).toBe(0);
    expect(linesSince(before, "packed")).toStrictEqual([]);
  });
});
