// What the log says of a pull: the fields by which programs count what was made and what was
// remembered.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { skipWhere } from "../../skip-where.ts";
import { temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";
import { plantGatedSet, until } from "../images/gated-set.ts";
import { hidesHost } from "../nix/sandbox-shell.ts";

const nameOf = (name: string) => `${REPOSITORY_PREFIX}${name}`;
const pathOf = (name: string) => `/v2/${nameOf(name)}/manifests/latest`;

/** The facts of the last answer besides its path and how long it took. */
function lastAnswer({ lines }: House): Readonly<Record<string, unknown>> {
  const answered = lines.findLast(({ msg }) => msg === "answered");
  assert(answered !== undefined);
  const { level: _, time: __, msg: ___, path: ____, method: _____, ms, pin, ...facts } = answered;
  expect(Number.isInteger(ms)).toBe(true);
  return { ...facts, hasPin: typeof pin === "string" };
}

const sizeOf = (layers: readonly { readonly size: number }[]) =>
  layers.reduce((sum, { size }) => sum + size, 0);

describe("the log of a pull says", { timeout: 60_000 }, () => {
  test("what was made, how much of it is new, and that the next is remembered", async () => {
    const house = await startHouse(
      onTestFinished,
      await plantSet(onTestFinished),
      await temporaryDirectory(onTestFinished),
    );
    const of = (name: string) => ({ image: nameOf(name), tag: "latest", variant: "oci-zstd" });
    const OK = { status: 200, hasPin: true };

    const hello = await house.pull("hello");
    const newBytes = sizeOf(hello.manifest.layers);
    expect(newBytes).toBeGreaterThan(0);
    expect(lastAnswer(house)).toStrictEqual({ ...OK, ...of("hello"), answer: "made", newBytes });

    await house.pull("hello");
    const remembered = { answer: "remembered", newBytes: 0 };
    expect(lastAnswer(house)).toStrictEqual({ ...OK, ...of("hello"), ...remembered });

    // Shares a large layer and the ground with the first.
    const hullo = await house.pull("hullo");
    const known = new Set(hello.manifest.layers.map(({ digest }) => digest));
    const fresh = hullo.manifest.layers.filter(({ digest }) => !known.has(digest));
    expect(fresh.length).toBeGreaterThan(0);
    expect(fresh.length).toBeLessThan(hullo.manifest.layers.length);
    const made = { answer: "made", newBytes: sizeOf(fresh) };
    expect(lastAnswer(house)).toStrictEqual({ ...OK, ...of("hullo"), ...made });

    // A combination of what is known is composed only.
    await house.pull("hello/hullo");
    expect(lastAnswer(house)).toStrictEqual({ ...OK, ...of("hello/hullo"), ...remembered });

    await house.pull("hello", { Accept: "application/vnd.docker.distribution.manifest.v2+json" });
    const docker = lastAnswer(house);
    expect([docker.variant, docker.answer]).toStrictEqual(["docker-gzip", "made"]);
  });

  test("that a record was made anew, though all its layers were there", async () => {
    const [setPath, statePath] = [
      await plantSet(onTestFinished),
      await temporaryDirectory(onTestFinished),
    ];
    const first = await startHouse(onTestFinished, setPath, statePath);
    await first.pull("hello");
    await first.origin.close();
    await rm(join(statePath, "origin/records"), { recursive: true });
    const second = await startHouse(onTestFinished, setPath, statePath);
    await second.pull("hello");
    const { answer, newBytes } = lastAnswer(second);
    expect([answer, newBytes]).toStrictEqual(["made", 0]);
  });

  test("what its client was told of why there is none", async () => {
    const house = await startHouse(
      onTestFinished,
      await plantSet(onTestFinished),
      await temporaryDirectory(onTestFinished),
    );
    await house.request(pathOf("helo"));
    const failed = { answer: "failed", code: "MANIFEST_UNKNOWN" };
    expect(lastAnswer(house)).toStrictEqual({
      ...{ status: 404, hasPin: false, ...failed },
      ...{ image: nameOf("helo"), tag: "latest", variant: "oci-zstd" },
      message: "no package helo (did you mean hello?)",
    });
  });

  test("no image of what is no pull by tag", async () => {
    const house = await startHouse(
      onTestFinished,
      await plantSet(onTestFinished),
      await temporaryDirectory(onTestFinished),
    );
    const { digest } = await house.pull("sh");
    await house.request(`/v2/${nameOf("sh")}/manifests/${digest}`);
    expect(lastAnswer(house)).toStrictEqual({ status: 200, hasPin: false });
    await house.request("/v2/x/blobs/bad");
    const { message, ...facts } = lastAnswer(house);
    expect(facts).toStrictEqual({ status: 400, code: "DIGEST_INVALID", hasPin: false });
  });

  test("that an earlier revision answered while the source is silent", async () => {
    const setPath = await plantSet(onTestFinished);
    const house = await startHouse(
      onTestFinished,
      setPath,
      await temporaryDirectory(onTestFinished),
    );
    await house.pull("sh");
    await rm(setPath, { recursive: true });
    await house.pull("sh");
    expect(lastAnswer(house).answer).toBe("stale");
  });

  test(
    "that it is still under way, and what came of it behind its answer",
    skipWhere(hidesHost),
    async () => {
      const set = await plantGatedSet(onTestFinished);
      const house = await startHouse(
        onTestFinished,
        set.path,
        await temporaryDirectory(onTestFinished),
        { NIXPORT_HOLD: "1" },
      );
      const asked = house.request(pathOf("one"));
      await set.running("one");
      expect((await asked).status).toBe(503);
      const { answer, message } = lastAnswer(house);
      expect([answer, message]).toStrictEqual([
        "still-under-way",
        /building/.exec(String(message))?.input,
      ]);
      const stage = house.lines.find(({ msg }) => msg === "under way");
      if (stage !== undefined) expect(stage.image).toBe(nameOf("one"));
      await set.open("one");
      const late = () => house.lines.find(({ msg }) => /^built after/.test(msg));
      await until("the build has ended", () => late() !== undefined);
      const line = late();
      assert(line !== undefined);
      expect([line.image, line.tag, line.answer]).toStrictEqual([nameOf("one"), "latest", "made"]);
      expect(Number(line.newBytes)).toBeGreaterThan(0);
    },
  );

  test("that its client has left", skipWhere(hidesHost), async () => {
    const set = await plantGatedSet(onTestFinished);
    const house = await startHouse(
      onTestFinished,
      set.path,
      await temporaryDirectory(onTestFinished),
    );
    const client = new AbortController();
    const left = house.request(pathOf("one"), { signal: client.signal }).catch(() => "left");
    await set.running("one");
    client.abort();
    expect(await left).toBe("left");
    await until("it is answered", () => house.pending() === 0);
    expect(lastAnswer(house).answer).toBe("left");
  });
});
