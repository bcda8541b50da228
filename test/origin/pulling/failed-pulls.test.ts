import { expect, test } from "vitest";
import { createFailedPulls } from "../../../origin/pulling/failed-pulls.ts";
import { RegistryError } from "../../../registry/http/error.ts";
import { recipeOf, tagOf } from "../../registry/fixture.ts";

const [GIT, HTOP] = [recipeOf("git"), recipeOf("htop")];
const LATEST = tagOf("latest");

test("what failed last is told of its image and tag alone, until a pull has the image", () => {
  let nowMs = 5;
  const failed = createFailedPulls(() => nowMs);
  const error = new RegistryError("UNAVAILABLE", "stopped after 60 s");
  failed.note([GIT, recipeOf("arm64/git")], LATEST, error);
  nowMs = 9;
  expect(failed.lookup(recipeOf("git/cacert"), LATEST)).toStrictEqual({ error, atMs: 5 });
  expect(failed.lookup(recipeOf("arm64/git"), LATEST)).toStrictEqual({ error, atMs: 5 });
  expect(failed.lookup(HTOP, LATEST)).toBeUndefined();
  expect(failed.lookup(GIT, tagOf("other"))).toBeUndefined();
  failed.forget([GIT, HTOP], LATEST);
  expect(failed.lookup(GIT, LATEST)).toBeUndefined();
  expect(failed.lookup(recipeOf("arm64/git"), LATEST)).toBeDefined();
});

test("that others were served first is no failure of an image", () => {
  const failed = createFailedPulls(() => 0);
  failed.note([GIT], LATEST, new RegistryError("TOOMANYREQUESTS", "2 wait already"));
  expect(failed.lookup(GIT, LATEST)).toBeUndefined();
});
