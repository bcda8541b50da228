// An image's page and its data at an origin by itself: of what is stored and remembered, with no process of Nix
// started for it.

import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { buildPage } from "../../../page/build.ts";
import type { ImageAnswer } from "../../../registry/http/image-answer.ts";
import { plantFailingSet } from "../failing-set.ts";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";

const atEnd = endOfFile();
let set: string;
let house: House;
beforeAll(async () => {
  await buildPage();
  set = await plantSet(atEnd);
  house = await startHouse(atEnd, set, await temporaryDirectory(atEnd));
});

const pathOf = (kind: "i" | "api/images", name: string) => `/${kind}/${REPOSITORY_PREFIX}${name}`;

async function dataOf(at: House, name: string): Promise<ImageAnswer & { readonly status: number }> {
  const response = await at.request(pathOf("api/images", name));
  expect(response.headers.get("Cache-Control")).toBe("no-store");
  return { ...((await response.json()) as ImageAnswer), status: response.status };
}

describe("an image", () => {
  test("that nobody has pulled is unknown, and is not made by asking", async () => {
    house.forget();
    const { status, image } = await dataOf(house, "tools");
    expect([status, image.state]).toStrictEqual([404, "unknown"]);
    const page = await house.request(pathOf("i", "tools"));
    expect([page.status, (await page.text()).includes("Not made yet")]).toStrictEqual([404, true]);
    expect(house.started).toStrictEqual([]);
  });

  test("that was pulled is told of as the pull was answered, also to the next start", async () => {
    const statePath = await temporaryDirectory(onTestFinished);
    const first = await startHouse(onTestFinished, set, statePath);
    const { digest, pin, manifest } = await first.pull("hello");
    await first.origin.close();
    const next = await startHouse(onTestFinished, set, statePath);
    for (const [at, tag] of [
      [next, ""],
      [next, ":latest"],
    ] as const) {
      at.forget();
      const { status, image, moves } = await dataOf(at, `hello${tag}`);
      expect([status, image.state]).toStrictEqual([200, "known"]);
      expect(moves.map((move) => move.pin)).toStrictEqual([pin]);
      if (image.state !== "known") return;
      const { variants, layers, packages } = image.facts;
      expect(image.facts.pin).toBe(pin);
      expect(variants.map(({ variant, digest: known }) => [variant, known])).toContainEqual([
        "oci-zstd",
        digest,
      ]);
      expect(layers.map((layer) => layer.digest)).toStrictEqual(
        manifest.layers.map((layer) => layer.digest),
      );
      const hello = packages.find(({ attribute }) => attribute === "hello");
      expect(hello).toMatchObject({ version: "1.0", licenses: ["MIT"] });
      const page = await at.request(pathOf("i", `hello${tag}`));
      expect(page.status).toBe(200);
      expect(await page.text()).toContain("shared-1.0");
      expect(at.started).toStrictEqual([]);
    }
  });

  test("of another tag than the set has is told what a pull is", async () => {
    const { status, image } = await dataOf(house, "hello:v1");
    expect(status).toBe(404);
    expect(image).toMatchObject({ state: "failed", detail: [{ reason: "unknown-tag" }] });
  });
});

test("a package that failed is told of with the last lines of its log, and asked of Nix no more", async () => {
  const failing = await plantFailingSet(onTestFinished);
  const other = await startHouse(onTestFinished, failing, await temporaryDirectory(onTestFinished));
  for (const name of ["failing", "licensed", "needs-unfetched"]) {
    const pulled = await other.request(`/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`);
    const { errors } = (await pulled.json()) as { errors: [{ message: string; detail: object }] };
    other.forget();
    const { status, image } = await dataOf(other, name);
    const { message, detail } = errors[0];
    expect(status, name).toBe(pulled.status);
    expect(image).toMatchObject({ state: "failed", message, detail });
    const page = await (await other.request(pathOf("i", name))).text();
    if (name === "failing") expect(page).toContain("this went wrong");
    expect(other.started).toStrictEqual([]);
  }
});
