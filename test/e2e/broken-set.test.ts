// A branch whose newest revision does not load, through the running edge and origin: everybody goes on
// with the revision before, and is told why, until the branch is mended.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { plantSet } from "../origin/house.ts";
import { until } from "../origin/images/gated-set.ts";
import { createRepository, type Repository } from "../origin/sources/git-repository.ts";
import { get, type PulledManifest, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

/** Seconds, at the origin and at the edge alike. */
const FRESH = "1";
const WHY =
  /^299 - "nixport: latest has moved on; .*: the package set does not load: .*requires Nix >= 2\.99.* \(default\.nix:1[:)]/;

const atEnd = endOfFile();
let repository: Repository;
let sound: string;
let deployment: Deployment;
let origin: Part;
let before: PulledManifest;

const pull = (image: string) => pullManifest(deployment.edgeUrl, image);
const warningOf = ({ headers }: PulledManifest) => headers.get("warning") ?? "";

beforeAll(async () => {
  repository = await createRepository(atEnd);
  sound = await readFile(join(await plantSet(atEnd), "default.nix"), "utf8");
  await repository.commit(sound);
  deployment = await deploy({
    env: {
      NIXERY_PKGS_REPO: `file://${repository.path}`,
      NIXPORT_PIN_FRESH: FRESH,
      PIN_FRESH_SECONDS: FRESH,
      NIXPORT_LOG_LEVEL: "debug",
    },
  });
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  before = await pull("hello");
  await origin.waitFor(({ msg }) => msg === "backfilled");
});

afterAll(() => deployment?.close());

describe("a revision that does not load", () => {
  test("makes the edge say so, of an image that it has", async () => {
    await repository.commit('abort "requires Nix >= 2.99"');
    let latest = before;
    await until(
      "the edge says why",
      async () => {
        latest = await pull("hello");
        return WHY.test(warningOf(latest));
      },
      60_000,
    );
    expect(latest.digest).toBe(before.digest);
    const line = await origin.waitFor(({ msg }) => msg === "the package set does not load");
    expect(line.level).toBe(50);
  });

  test("keeps nobody from what the revision before has, new or not", async () => {
    const image = await pull("hullo");
    expect(warningOf(image)).toMatch(WHY);
    expect(image.headers.get("nixport-pin")).toBe(before.headers.get("nixport-pin"));
  });

  test("is the reason why nothing can be said of other names", async () => {
    const response = await get(deployment.edgeUrl, "/v2/nosuchthing/manifests/latest");
    expect(response.status).toBe(503);
    expect(await response.text()).toMatch(
      /"the package set does not load: .*requires Nix >= 2\.99/,
    );
  });

  test("is over with the next that loads", async () => {
    const mended = await repository.commit(`${sound}\n# mended`);
    await until(
      "the new revision answers",
      async () => (await pull("hello")).headers.get("nixport-pin") === mended,
      60_000,
    );
  });
});
