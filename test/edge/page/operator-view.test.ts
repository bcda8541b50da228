// How an origin is doing, through the edge: asked for only when an operator of the policy wants to know.

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { hashPassword } from "../../../registry/access/password.ts";
import { numbered, viewOf } from "../../page/html/told-view.ts";
import { basic, PASSWORD } from "../access/policy.ts";
import { registryError } from "../fake-origin.ts";
import { startWorld, type World } from "../world.ts";

const VIEW = JSON.stringify(viewOf(numbered()));
let world: World;
beforeAll(async () => {
  const password = await hashPassword(PASSWORD, 1000);
  const users = { op: { password, operator: true }, all: { password } };
  world = await startWorld({ policy: JSON.stringify({ users }) });
});
afterAll(() => world.close());
beforeEach(() => {
  world.origin.asked.length = 0;
  world.origin.answering = () => ({ status: 200, body: VIEW });
});

test.for([
  ["nobody in particular", {}, 404, 0],
  ["a user who may pull everything", basic("all"), 404, 0],
  ["somebody with a wrong password", basic("op", "wrong"), 401, 0],
  ["an operator", basic("op"), 200, 1],
] as const)("%s is told as much as is theirs", async ([, headers, status, asked]) => {
  for (const path of ["/api/operator", "/operator"]) {
    world.origin.asked.length = 0;
    const response = await world.pull(path, { headers });
    const text = await response.text();
    expect(response.status, text).toBe(status);
    expect(response.headers.get("Cache-Control")).toContain("no-store");
    expect(text.includes("said-1.")).toBe(status === 200);
    const { origin } = world;
    expect(origin.asked.map((each) => each.path)).toStrictEqual(
      Array.from({ length: asked }, () => "/api/operator"),
    );
    // By the edge's own word, and not by the operator's.
    for (const each of origin.asked) expect(each.headers.authorization).toMatch(/^Bearer /);
  }
});

test.for([
  [{ status: 200, body: "a page" }, 503],
  [{ status: 200, body: "{}" }, 503],
  [registryError(404, "NAME_UNKNOWN", "there is no such page"), 404],
] as const)("an origin that does not tell is no page: %#", async ([told, status]) => {
  world.origin.answering = () => told;
  const response = await world.pull("/operator", { headers: basic("op") });
  await response.body?.cancel();
  expect(response.status).toBe(status);
});
