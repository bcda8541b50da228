// What an edge shows of an image that it does not know itself: what its origin says, in the edge's own page.

import { expect, onTestFinished, test } from "vitest";
import { startEdge } from "../../../origin/command/workerd.ts";
import type { ImageAnswer } from "../../../registry/http/image-answer.ts";
import { plantFailingSet } from "../failing-set.ts";
import { temporaryDirectory } from "../fixture.ts";
import { REPOSITORY_PREFIX, startHouse } from "../house.ts";

test("an edge tells of an image what its origin remembers", async () => {
  const NIXPORT_SECRET = "a secret of this test";
  const set = await plantFailingSet(onTestFinished);
  const variables = { NIXPORT_SECRET, NIXPORT_ACCESS: "edge" };
  const state = await temporaryDirectory(onTestFinished);
  const house = await startHouse(onTestFinished, set, state, variables);
  const edge = await startEdge({
    port: 0,
    statePath: await temporaryDirectory(onTestFinished),
    originUrl: house.origin.url,
    secret: NIXPORT_SECRET,
    platforms: [process.arch === "arm64" ? "arm64" : "amd64"],
    onLog: () => {},
  });
  onTestFinished(() => edge.close());
  const told = async (name: string) => {
    const response = await fetch(`${edge.url}/api/images/${REPOSITORY_PREFIX}${name}`);
    const { image } = (await response.json()) as ImageAnswer;
    return { status: response.status, image };
  };
  const pull = async (name: string) => {
    const path = `/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`;
    const pulled = await fetch(edge.url + path);
    await pulled.body?.cancel();
    return pulled.headers.get("Docker-Content-Digest");
  };
  expect(await told("hello")).toMatchObject({ status: 404, image: { state: "unknown" } });
  const digest = await pull("hello");
  await pull("failing");
  const { status, image } = await told("hello");
  expect([status, image.state]).toStrictEqual([200, "known"]);
  if (image.state === "known") {
    expect(image.facts.variants.map((each) => each.digest)).toContain(digest);
  }
  const detail = [{ package: "failing", reason: "build-failed" }];
  expect(await told("failing")).toMatchObject({ status: 404, image: { state: "failed", detail } });
  const page = await fetch(`${edge.url}/i/${REPOSITORY_PREFIX}failing`);
  expect([page.status, (await page.text()).includes("this went wrong")]).toStrictEqual([404, true]);
});
