// The first pull of an image that takes its time, by real clients and by one that gives up early: from
// the origin alone and through the edge. Builders wait until the test lets them go on.

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { REPOSITORY_PREFIX } from "../origin/house.ts";
import { type Gated, type GatedSet, plantGatedSet, until } from "../origin/images/gated-set.ts";
import { hidesHost } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { missingClient, podmanOptions, pullWhenMade } from "./clients.ts";
import { type Containerd, startContainerd } from "./containerd.ts";
import { removeStorage, run } from "./daemon.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";
import { goProgram } from "./go-programs.ts";
import { pullHastily } from "./hasty-client.ts";

const limit = { timeout: 120_000 };
const atEnd = endOfFile();
let set: GatedSet;
let deployment: Deployment;
let origin: Part;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-waiting-"));
  atEnd(() => removeStorage(scratch));
  set = await plantGatedSet(atEnd);
  deployment = await deploy({ packages: set.path, env: { NIXPORT_LOG_LEVEL: "debug" } });
  atEnd(() => deployment.close());
  origin = await deployment.startOrigin();
  await deployment.startEdge();
});

const nameOf = (name: string) => `${REPOSITORY_PREFIX}${name}`;
const answersOf = ({ log }: Part, name: Gated) =>
  log.flatMap(({ msg, image, status }) =>
    msg === "answered" && image === nameOf(name) ? [status] : [],
  );

interface RealClient {
  readonly pull: (reference: string) => Promise<unknown>;
  /** One for the origin, one for the edge. */
  readonly names: readonly [Gated, Gated];
}

function waits({ pull, names }: RealClient): void {
  for (const [place, from] of (["origin", "edge"] as const).entries()) {
    test(`is given the image by the ${from} when it is there, in one pull`, limit, async () => {
      const name = names[place] ?? names[0];
      const { host } = new URL(deployment[`${from}Url`]);
      const pulled = pull(`${host}/${nameOf(name)}:latest`);
      await set.running(name);
      expect(answersOf(origin, name)).toStrictEqual([]);
      await set.open(name);
      await pulled;
      expect(new Set(answersOf(origin, name))).toStrictEqual(new Set([200]));
      expect(await set.starts(name)).toBe(1);
    });
  }
}

const skip = (...programs: readonly string[]) => skipWhere(hidesHost || missingClient(...programs));

describe("skopeo", skip("skopeo"), () => {
  waits({
    names: ["one", "two"],
    pull: (reference) =>
      run("skopeo", [
        ...["copy", "--src-tls-verify=false", `docker://${reference}`],
        `dir:${join(scratch, "skopeo")}`,
      ]),
  });
});

describe("podman", skip("podman", "runc"), () => {
  waits({
    names: ["three", "four"],
    pull: (reference) =>
      run("podman", [
        ...podmanOptions(join(scratch, "podman")),
        ...["pull", "--quiet", "--tls-verify=false", reference],
      ]),
  });
});

describe("docker", skip("dockerd", "docker"), () => {
  let dockerd: Dockerd;
  beforeAll(async () => {
    dockerd = await startDockerd(join(scratch, "docker"));
  });
  afterAll(() => dockerd?.stop());
  waits({ names: ["five", "six"], pull: (reference) => dockerd.unpack(reference) });
});

describe("containerd", skip("containerd", "ctr"), () => {
  let containerd: Containerd;
  beforeAll(async () => {
    containerd = await startContainerd(join(scratch, "containerd"));
  });
  afterAll(() => containerd?.stop());
  waits({ names: ["seven", "eight"], pull: (reference) => containerd.unpack(reference, "test") });
});

const resolver = await goProgram("containerd-resolver");

describe("a client that gives up after a while", { ...limit, ...skipWhere(hidesHost) }, () => {
  let hasty: Deployment;
  let held: Part;
  let own: GatedSet;
  beforeAll(async () => {
    own = await plantGatedSet(atEnd);
    // Two seconds where the real one is held 27 s.
    const env = { NIXPORT_HOLD: "2", ORIGIN_WAIT_SECONDS: "2" };
    hasty = await deploy({ packages: own.path, env });
    atEnd(() => hasty.close());
    held = await hasty.startOrigin();
    await hasty.startEdge();
    // Has what is in every image made.
    await pullWhenMade(hasty.edgeUrl, nameOf("large"));
  });

  test.each([
    ["origin", "one"],
    ["edge", "two"],
  ] as const)(
    "is told by the %s how far it is, before that, and has its image in the end",
    async (from, name) => {
      const statuses: number[] = [];
      const client = { registryUrl: hasty[`${from}Url`], headersWaitMs: 4000, statuses };
      const pulled = pullHastily(client, nameOf(name));
      await own.running(name);
      await until("it was told twice", () => statuses.length >= 2);
      await own.open(name);
      expect(await pulled).toMatch(/^sha256:/);
      expect(statuses.slice(0, 2)).toStrictEqual([429, 429]);
      expect(await own.starts(name)).toBe(1);
    },
  );

  test.each([
    ["origin", "three", 429],
    ["edge", "four", 503],
  ] as const)(
    "is containerd 2.3 itself, which has its image from the %s all the same",
    skipWhere(resolver.kind === "missing" && resolver.reason),
    async (from, name, status) => {
      assert(resolver.kind === "program");
      const { host } = new URL(hasty[`${from}Url`]);
      const pulled = run(resolver.path, [`${host}/${nameOf(name)}:latest`]);
      await own.running(name);
      await until("the origin has told it twice", () => answersOf(held, name).length >= 2);
      await own.open(name);
      expect(await pulled).toMatch(/^sha256:/);
      expect(answersOf(held, name).slice(0, 2)).toStrictEqual([status, status]);
      expect(await own.starts(name)).toBe(1);
    },
  );
});
