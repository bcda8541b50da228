import { afterAll, beforeAll, describe } from "vitest";
import { describePageAnswers } from "../../contract/page-answers.ts";
import { startWorld, type World } from "../world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());

describe("the edge answers", () => {
  describePageAnswers((path, options) => fetch(world.edge.url + path, options));
});
