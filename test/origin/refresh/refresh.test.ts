// A tag moves: what is made for it in the background, and what pulls get meanwhile. Real git, real Nix.

import { readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { EnvironmentVariables } from "../../../origin/configuration/config.ts";
import { parseStoredJson } from "../../../origin/storage/stored-json.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { type House, type Pulled, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";
import { until } from "../images/gated-set.ts";
import { type NumberedSet, plantNumberedSet } from "./numbered-set.ts";

const limit = { timeout: 120_000 };
const PACKAGES = 40;

async function fresh(
  onEnd: Ending,
  set: NumberedSet,
  variables: EnvironmentVariables = {},
  statePath?: string,
): Promise<House> {
  const settings = { NIXERY_PKGS_REPO: set.path, ...variables };
  return startHouse(onEnd, set.path, statePath ?? (await temporaryDirectory(onEnd)), settings);
}

async function answerOf(house: House, name: string) {
  const path = `/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`;
  const { status, headers } = await house.request(path);
  return {
    status,
    pin: headers.get("Nixport-Pin"),
    digest: headers.get("Docker-Content-Digest"),
    warning: headers.get("Warning"),
  };
}

const linesOf = (house: House, msg: string) => house.lines.filter((line) => line.msg === msg);
const startedNix = (house: House) => house.started.filter((each) => each.startsWith("nix"));
const nameOf = (storePath: string) => storePath.replace(/^.*\/[a-z0-9]{32}-/, "");

/** A pull of what was resolved long ago is answered, and behind it the tag is found to have moved. */
async function noticeMove(house: House, name: string, to: string): Promise<Pulled> {
  house.pass(600_000);
  const pulled = await house.pull(name);
  await until("the tag has moved", () =>
    linesOf(house, "tag moved").some((each) => each.to === to),
  );
  return pulled;
}

async function isBuilding(house: House, builds: number): Promise<void> {
  const realised = () => house.started.filter((each) => /--realise/.test(each)).length;
  await until("it is being built", () => realised() === builds);
}

describe("a tag of forty packages that moves because of one", limit, () => {
  test("costs one evaluation and what changed, before anyone asks", async () => {
    const set = await plantNumberedSet(onTestFinished, PACKAGES);
    await set.commit();
    const house = await fresh(onTestFinished, set);
    const all = Array.from({ length: PACKAGES }, (_, index) => `p${index + 1}`);
    const names = [all.slice(0, 10), all.slice(5, 25), all.slice(20), ["p7"], ["p8"]].map((each) =>
      each.join("/"),
    );
    const before = new Map<string, string>();
    for (const name of names) before.set(name, (await house.pull(name)).digest);
    house.forget();

    const moved = await set.commit({ p7: "changed" });
    expect((await noticeMove(house, "p8", moved)).digest).toBe(before.get("p8"));
    await house.origin.refreshed();
    expect(startedNix(house).filter((each) => /instantiate|realise/.test(each))).toStrictEqual([
      // The files of the new revision, and the root that keeps them.
      ...["nix-instantiate --log-format", "nix-store --realise"],
      ...["nix-instantiate --eval", "nix-store --realise"],
    ]);
    expect(house.packed().map((paths) => paths.map(nameOf))).toStrictEqual([["p7-1.0"]]);

    house.forget();
    for (const name of names) {
      const answer = await answerOf(house, name);
      expect(answer.pin, name).toBe(moved);
      expect(answer.warning, name).toBeNull();
      const holdsIt = name.split("/").includes("p7");
      expect(answer.digest !== before.get(name), name).toBe(holdsIt);
    }
    for (const name of ["p1/p40", "p7/p30/p31", all.slice(3, 33).join("/")]) {
      expect((await house.pull(name)).pin).toBe(moved);
    }
    expect(startedNix(house)).toStrictEqual([]);
    expect(house.packed()).toStrictEqual([]);
  });
});

describe("while an image is made at the pin its tag has now", limit, () => {
  test("the earlier pin answers for it at once, and only for it", async () => {
    const set = await plantNumberedSet(onTestFinished, 3);
    const first = await set.commit();
    const house = await fresh(onTestFinished, set);
    const before = await house.pull("p1/p2");
    const second = await set.commit({ p1: "wait" });
    await noticeMove(house, "p1/p2", second);
    await isBuilding(house, 2);

    const meanwhile = await answerOf(house, "p2/p1");
    expect(meanwhile.pin).toBe(first);
    expect(meanwhile.digest).toBe(before.digest);
    expect(meanwhile.warning ?? "").toMatch(/^299 - "nixport: latest has moved on/);
    const untracked = await answerOf(house, "p2");
    expect(untracked.pin).toBe(second);
    expect(untracked.warning).toBeNull();

    await set.open();
    await house.origin.refreshed();
    const after = await answerOf(house, "p1/p2");
    expect(after.pin).toBe(second);
    expect(after.digest).not.toBe(before.digest);
    expect(after.warning).toBeNull();
  });

  test("the earlier pin answers for an index of it too", async () => {
    const set = await plantNumberedSet(onTestFinished, 1);
    const first = await set.commit();
    // The set has packages for one of them only.
    const house = await fresh(onTestFinished, set, {
      NIXPORT_PLATFORMS: "linux/amd64,linux/arm64",
    });
    const index = async () => {
      const { status, headers } = await house.request("/v2/p1/manifests/latest");
      expect(status).toBe(200);
      expect(headers.get("Content-Type")).toBe("application/vnd.oci.image.index.v1+json");
      expect(headers.get("Nixport-Omitted") ?? "").toMatch(
        /^linux\/a[^=]*=".*; p1 does not support/,
      );
      return [headers.get("Nixport-Pin"), headers.get("Warning") !== null];
    };
    expect(await index()).toStrictEqual([first, false]);
    const second = await set.commit({ p1: "wait" });
    house.pass(600_000);
    await index();
    await isBuilding(house, 2);
    expect(await index()).toStrictEqual([first, true]);
    await set.open();
    await house.origin.refreshed();
    expect(await index()).toStrictEqual([second, false]);
  });

  test("its index goes to the edge as well, before anyone asks", async () => {
    const set = await plantNumberedSet(onTestFinished, 1);
    await set.commit();
    const statePath = await temporaryDirectory(onTestFinished);
    const settings = {
      NIXPORT_PLATFORMS: "linux/amd64,linux/arm64",
      // Nobody listens there, so what the edge is to be given stays.
      ...{ NIXPORT_EDGE_URL: "http://127.0.0.1:9", NIXPORT_SECRET: "a secret of the tests" },
    };
    const house = await fresh(onTestFinished, set, settings, statePath);
    const pull = () => house.request("/v2/p1/manifests/latest");
    expect((await pull()).status).toBe(200);
    const second = await set.commit({ p1: "changed" });
    house.pass(600_000);
    expect((await pull()).status).toBe(200);
    await until("the tag has moved", () => linesOf(house, "tag moved").length === 1);
    await house.origin.refreshed();
    const outbox = join(statePath, "origin/outbox");
    const entries = await Promise.all(
      (await readdir(outbox)).map(async (name) =>
        parseStoredJson(await readFile(join(outbox, name))),
      ),
    );
    const recipe = expect.stringMatching(/^(?:amd64\+arm64|arm64\+amd64)\/.*p1$/);
    expect(entries).toContainEqual(expect.objectContaining({ recipe, pin: second, isKept: true }));
    // It is what a pull is answered with.
    const { headers } = await pull();
    expect(headers.get("Nixport-Pin")).toBe(second);
    const index = headers.get("Docker-Content-Digest");
    expect(entries).toContainEqual(expect.objectContaining({ recipe, index }));
  });

  test("the earlier pin answers for half an hour at most", async () => {
    const set = await plantNumberedSet(onTestFinished, 1);
    await set.commit();
    const house = await fresh(onTestFinished, set, { NIXPORT_PIN_FRESH: "86400" });
    await house.pull("p1");
    house.pass(86_400_000);
    const second = await set.commit({ p1: "wait" });
    await house.pull("p1");
    await isBuilding(house, 2);
    house.pass(1_800_000);
    const late = house.pull("p1");
    await set.open();
    expect((await late).pin).toBe(second);
  });

  test("another move ends that work, and the first pin answers on", async () => {
    const set = await plantNumberedSet(onTestFinished, 3);
    const first = await set.commit();
    const house = await fresh(onTestFinished, set);
    await house.pull("p1");
    await noticeMove(house, "p1", await set.commit({ p1: "wait" }));
    await isBuilding(house, 2);
    const third = await set.commit({ p1: "wait", p2: "changed" });
    expect((await noticeMove(house, "p1", third)).pin).toBe(first);
    expect((await house.pull("p1")).pin).toBe(first);
    await set.open();
    await house.origin.refreshed();
    expect((await house.pull("p1")).pin).toBe(third);
    expect(linesOf(house, "refreshed").map(({ pin, made }) => [pin === third, made])).toStrictEqual(
      [
        [false, 0],
        [true, 1],
      ],
    );
  });

  test("the origin goes down at once", async () => {
    const set = await plantNumberedSet(onTestFinished, 1);
    await set.commit();
    const house = await fresh(onTestFinished, set);
    await house.pull("p1");
    await noticeMove(house, "p1", await set.commit({ p1: "wait" }));
    await isBuilding(house, 2);
    const startedMs = performance.now();
    await house.origin.close();
    expect(performance.now() - startedMs).toBeLessThan(8000);
    expect(linesOf(house, "a refresh failed")).toStrictEqual([]);
  });
});

describe("an image that cannot be made at the new pin", limit, () => {
  test.for(["fail", "throw"])(
    "keeps no other from it (%s), and is refused when it is pulled",
    async (change) => {
      const set = await plantNumberedSet(onTestFinished, 3);
      await set.commit();
      const house = await fresh(onTestFinished, set);
      for (const name of ["p2", "p1/p2", "p3"]) await house.pull(name);
      house.forget();
      const moved = await set.commit({ p1: change, p3: "changed" });
      await noticeMove(house, "p2", moved);
      await house.origin.refreshed();
      expect(linesOf(house, "not refreshed")).toHaveLength(1);
      expect(house.packed().map((paths) => paths.map(nameOf))).toStrictEqual([["p3-1.0"]]);
      house.forget();
      expect((await house.pull("p3")).pin).toBe(moved);
      expect(house.packed()).toStrictEqual([]);
      const refused = await answerOf(house, "p1/p2");
      expect(refused.status).toBe(404);
    },
  );
});

describe("what was pulled", limit, () => {
  test("is known after a restart", async () => {
    const set = await plantNumberedSet(onTestFinished, 2);
    await set.commit();
    const house = await fresh(onTestFinished, set);
    await house.pull("p1");
    await house.origin.close();
    const moved = await set.commit({ p1: "changed" });
    const restarted = await fresh(onTestFinished, set, {}, house.statePath);
    await noticeMove(restarted, "p1", moved);
    await restarted.origin.refreshed();
    expect(restarted.packed().map((paths) => paths.map(nameOf))).toStrictEqual([["p1-1.0"]]);
  });

  test("is made by the next process where a shutdown came between", async () => {
    const set = await plantNumberedSet(onTestFinished, 2);
    await set.commit();
    const house = await fresh(onTestFinished, set);
    for (const name of ["p2", "p1"]) await house.pull(name);
    const moved = await set.commit({ p1: "wait" });
    await noticeMove(house, "p2", moved);
    await isBuilding(house, 3);
    await house.origin.close();
    const restarted = await fresh(onTestFinished, set, {}, house.statePath);
    expect((await restarted.pull("p2")).pin).toBe(moved);
    await isBuilding(restarted, 1);
    await set.open();
    await restarted.origin.refreshed();
    restarted.forget();
    expect((await restarted.pull("p1")).pin).toBe(moved);
    expect(startedNix(restarted)).toStrictEqual([]);
  });

  test("is not made again where no image is tracked", async () => {
    const set = await plantNumberedSet(onTestFinished, 1);
    await set.commit();
    const house = await fresh(onTestFinished, set, { NIXPORT_TRACK_DAYS: "0" });
    await house.pull("p1");
    const moved = await set.commit({ p1: "changed" });
    house.forget();
    await noticeMove(house, "p1", moved);
    await house.origin.refreshed();
    expect(house.packed()).toStrictEqual([]);
    expect((await house.pull("p1")).pin).toBe(moved);
  });

  test("of a local set is answered as the set is now", async () => {
    const path = await plantSet(onTestFinished);
    const house = await startHouse(onTestFinished, path, await temporaryDirectory(onTestFinished));
    const before = await house.pull("hello");
    await house.pull("sh");
    await writeFile(join(path, "more.nix"), "{ }");
    house.forget();
    const after = await answerOf(house, "hello");
    expect(after.pin).not.toBe(before.pin);
    expect(after.warning).toBeNull();
    await house.origin.refreshed();
    house.forget();
    expect((await house.pull("sh")).pin).toBe(after.pin);
    expect(startedNix(house)).toStrictEqual([]);
  });
});

test("a tag whose source cannot be reached is answered with its age", limit, async () => {
  const set = await plantNumberedSet(onTestFinished, 2);
  await set.commit();
  const house = await fresh(onTestFinished, set);
  const { digest } = await house.pull("p1");
  house.pass(600_000);
  await rename(set.path, `${set.path}-away`);
  try {
    await until("it is known", async () => (await answerOf(house, "p1")).warning !== null);
    const answer = await answerOf(house, "p1");
    expect([answer.status, answer.digest]).toStrictEqual([200, digest]);
    expect(answer.warning ?? "").toMatch(
      /^299 - "nixport: latest was last resolved 10 min ago; the package source does not answer"$/,
    );
  } finally {
    // Where what has planted it looks for it.
    await rename(`${set.path}-away`, set.path);
  }
});
