// A channel of nixpkgs that moves, between a real origin, its edge and the world they get packages
// from: nobody waits for it, only what changed is fetched, and what goes wrong meanwhile leaves the
// earlier images where they are.

import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { missingWorld, openWorld, type World } from "../stand-ins/world.ts";
import { missingBlobs, type PulledManifest, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type LogLine, type Part } from "./deployment.ts";

const CHANNEL = "nixos-unstable";
const CHANGING = ["shell/git/htop", "hello"];
/** What is in them and in no other, as the move gives it. */
const CHANGED = ["hello-2.12.2.2", "htop-3.4.1.2"];
const STAYING = ["jq", "curl/tree"];
const IMAGES = [...CHANGING, ...STAYING];
/** Seconds, at the origin and at the edge alike. */
const FRESH = "1";
const DEADLINE_MS = 60_000;
/** Three seconds: an archive of the set has some 30 kB. */
const SLOW_BYTES = 10_000;
const ARCHIVE = /^GET \/NixOS\/nixpkgs\/tar\.gz\//;
const ARCHIVE_PATH = /\/tar\.gz\//;

const atEnd = endOfFile();
let world: World;
let deployment: Deployment;
let origin: Part;
/** What each image was before the channel moved. */
let earlier: ReadonlyMap<string, PulledManifest> = new Map();

const pinOf = ({ headers }: PulledManifest) => headers.get("nixport-pin");
const warningOf = ({ headers }: PulledManifest) => headers.get("warning") ?? "";

/** What happened since, at the origin and in its world. */
function mark() {
  const lines = origin.log.length;
  const [fetched, asked] = [world.cache.requests.length, world.forge.requests.length];
  const said = (msg: string): readonly LogLine[] =>
    origin.log.slice(lines).filter((line) => line.msg === msg);
  return {
    said,
    ended: (expression: string) => said("ended").filter((line) => line.expression === expression),
    /** Names with versions of what the cache was asked for, once each. */
    fetched: (kind: RegExp) =>
      world.cache.requests
        .slice(fetched)
        .filter((line) => kind.test(line))
        .map((line) => line.split(" ")[2] ?? "")
        .filter((name, index, all) => all.indexOf(name) === index)
        .toSorted(),
    archives: () => world.forge.requests.slice(asked).filter((line) => ARCHIVE.test(line)),
    async refreshed(pin: string): Promise<LogLine> {
      const isIt = (line: LogLine) => line.pin === pin;
      await origin.waitFor(() => said("refreshed").some(isIt));
      return said("refreshed").find(isIt) ?? {};
    },
  };
}

/** Pulls until an answer is as it should be; each before it must be the earlier one. */
async function until(
  url: string,
  image: string,
  isRight: (answer: PulledManifest) => boolean,
): Promise<PulledManifest> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  for (;;) {
    const answer = await pullManifest(url, image);
    if (isRight(answer)) return answer;
    const before = earlier.get(image);
    if (before !== undefined) expect(answer.digest).toBe(before.digest);
    await setTimeout(100, undefined, { signal: deadline });
  }
}

/** All images, when each is at the pin, whole, and the same at the edge as at the origin. */
async function allAt(pin: string): Promise<ReadonlyMap<string, PulledManifest>> {
  const answers = new Map<string, PulledManifest>();
  for (const image of IMAGES) {
    const answer = await until(deployment.originUrl, image, (each) => pinOf(each) === pin);
    const atEdge = await until(deployment.edgeUrl, image, (each) => pinOf(each) === pin);
    expect(atEdge.digest).toBe(answer.digest);
    expect(await missingBlobs(deployment.edgeUrl, atEdge)).toStrictEqual([]);
    answers.set(image, answer);
  }
  return answers;
}

/** All images at the origin while the channel's revision cannot be had. */
async function allStay(): Promise<void> {
  for (const image of IMAGES) {
    const answer = await pullManifest(deployment.originUrl, image);
    expect(answer.digest, image).toBe(earlier.get(image)?.digest);
    expect((await pullManifest(deployment.edgeUrl, image)).digest, image).toBe(answer.digest);
  }
}

describe("a channel that moves", skipWhere(missingWorld()), () => {
  beforeAll(async () => {
    // The Nix of this machine may be an old one; what one that is too old is told is another test's.
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true });
    deployment = await deploy({
      launcher: world.launcher,
      env: {
        ...world.env,
        ...{ NIXERY_CHANNEL: CHANNEL, NIXPORT_PACK_WORKERS: "1", NIXPORT_LOG_LEVEL: "debug" },
        ...{ NIXPORT_PIN_FRESH: FRESH, PIN_FRESH_SECONDS: FRESH },
      },
    });
    [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
    earlier = await allAt(world.forge.commitOf(CHANNEL));
  });
  afterAll(() => deployment?.close());
  let sinceMove: ReturnType<typeof mark>;

  test("is answered at its earlier revision at once, and followed in the background", async () => {
    sinceMove = mark();
    const since = sinceMove;
    const from = world.forge.commitOf(CHANNEL);
    // Long enough for a pull to come between, however fast the machine is.
    world.forge.fault(ARCHIVE_PATH, { kind: "slow", bytesPerSecond: SLOW_BYTES });
    const to = await world.forge.move(CHANNEL, ["hello", "htop"]);
    const meanwhile = await until(deployment.originUrl, "hello", (each) => warningOf(each) !== "");
    expect([pinOf(meanwhile), meanwhile.digest]).toStrictEqual([
      from,
      earlier.get("hello")?.digest,
    ]);
    expect(warningOf(meanwhile)).toMatch(/^299 - "nixport: latest has moved on/);
    world.forge.mend();

    const { images, made, ms } = await since.refreshed(to);
    expect([images, made, typeof ms]).toStrictEqual([IMAGES.length, IMAGES.length, "number"]);
    expect(since.archives()).toHaveLength(1);
    expect(since.ended("lookup.nix")).toHaveLength(1);
    expect(since.fetched(/^GET \/nar\//)).toStrictEqual(CHANGED);
    const builds = since.said("realised").map((line) => line.builds as { expected: number });
    expect(builds.map(({ expected }) => expected)).toStrictEqual(builds.map(() => 0));
    // A layer may hold what was there before too: that is joined from stored bytes.
    const compressed = since.said("packed").map(({ storePaths, joined }) => {
      const names = (storePaths as string[]).map((path) => path.replace(/^.*\/[a-z0-9]{32}-/, ""));
      return [names.length - Number(joined), names.filter((name) => CHANGED.includes(name))];
    });
    expect(compressed.toSorted()).toStrictEqual(CHANGED.map((name) => [1, [name]]));
  });

  test("gives new digests to what changed alone, and new layers alone to the edge", async () => {
    const to = world.forge.commitOf(CHANNEL);
    const later = await allAt(to);
    for (const [image, { digest }] of later) {
      expect(digest !== earlier.get(image)?.digest, image).toBe(CHANGING.includes(image));
    }
    const layersOf = (manifests: Iterable<PulledManifest>) =>
      [...manifests].flatMap(({ layers }) => layers.map(({ digest }) => digest));
    const before = new Set(layersOf(earlier.values()));
    const added = new Set(layersOf(later.values()).filter((digest) => !before.has(digest)));
    // Besides the configs of those that are kept, which is for their pulls to say.
    const configs = new Set([...later.values()].map(({ config }) => config.digest));
    const uploaded = sinceMove
      .said("uploaded")
      .map(({ digest }) => String(digest))
      .filter((digest) => !configs.has(digest));
    expect(uploaded.toSorted()).toStrictEqual([...added].toSorted());
    earlier = later;
  });

  const hindrances: readonly {
    readonly title: string;
    readonly raise: readonly string[];
    readonly begin: () => void;
    readonly logged: RegExp;
  }[] = [
    {
      title: "while its forge answers and has no files",
      raise: ["hello"],
      begin: () => world.forge.fault(ARCHIVE_PATH, { kind: "status", status: 503 }),
      logged: /503/,
    },
    {
      title: "while the cache lacks what it lists",
      raise: ["htop"],
      begin: () => world.cache.fault(/^\/nar\/.* htop-/, { kind: "missing" }),
      logged: /cache/,
    },
  ];
  test.for(hindrances)(
    "leaves earlier images where they are $title",
    async ({ raise, begin, logged }) => {
      const since = mark();
      begin();
      const to = await world.forge.move(CHANNEL, raise);
      const hindered = "earlier images stay until the new ones can be made";
      // Only a pull looks for a move.
      const noticed = until(deployment.originUrl, "hello", () => since.said(hindered).length > 0);
      await noticed;
      expect(String(since.said(hindered)[0]?.reason)).toMatch(logged);
      await allStay();

      world.forge.mend();
      world.cache.mend();
      earlier = await allAt(to);
    },
  );

  test("is answered while its forge is down", async () => {
    const since = mark();
    world.forge.fault(/./, { kind: "refuse" });
    await until(
      deployment.originUrl,
      "hello",
      () => since.said("tag kept at an earlier pin").length > 0,
    );
    await allStay();
    world.forge.mend();
  });
});
