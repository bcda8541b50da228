import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Fit } from "../../../origin/nix/fitting-nix.ts";
import type { NixTool } from "../../../origin/nix/nix-tool.ts";
import { renewableNix } from "../../../origin/nix/renewable-nix.ts";
import { readableLog } from "../fixture.ts";
import { NO_NIX } from "./fixture.ts";

/** Answers with its version, whatever it is asked. */
function toolOf(version: string): NixTool {
  const run: NixTool["run"] = async () => ({
    ...{ kind: "exited", code: 0, stdout: version, stderr: "" },
  });
  const none = { expressionsId: "", evaluationDeadlineMs: 0, database: "", storeDirectory: "" };
  return { version, run, expressions: NO_NIX.expressions, settings: undefined, ...none };
}

function openWorld(fit: Fit) {
  const { log, lines } = readableLog();
  const clock = { ms: 0 };
  const asked: string[] = [];
  const renewable = renewableNix(toolOf("2.8.0"), {
    bring: async ({ version }, needed) => {
      asked.push(`${version} to ${needed}`);
      return fit;
    },
    open: async () => toolOf("2.31.2"),
    ...{ log, now: () => clock.ms },
  });
  const errors = () => lines.filter(({ level }) => level === 50).map(({ msg }) => msg);
  return { ...renewable, asked, errors, clock };
}

const tooOld = { version: "2.8.0", needed: "2.18", why: "no cache has it", isManaged: false };

describe("a Nix that turns out to be too old", () => {
  test("gives way to a newer one for whatever is started from then on", async () => {
    const world = openWorld({ kind: "fits", version: "2.31.2", env: {} });
    assert.deepEqual(await Promise.all([world.bring("2.18"), world.bring("2.18")]), [true, true]);
    assert.equal(world.nix.version, "2.31.2");
    const result = await world.nix.run("nix", [], { deadlineMs: 1 });
    assert.equal(result.kind === "exited" && result.stdout, "2.31.2");
    assert.equal(await world.bring("2.18"), true);
    assert.deepEqual(world.asked, ["2.8.0 to 2.18"]);
  });

  test("stays where there is none, and is told of as an error once", async () => {
    const world = openWorld({ kind: "too-old", ...tooOld });
    assert.deepEqual(await Promise.all([world.bring("2.18"), world.bring("2.18")]), [false, false]);
    assert.equal(await world.bring("2.18"), false);
    assert.equal(world.nix.version, "2.8.0");
    assert.deepEqual(world.asked, ["2.8.0 to 2.18"]);
    assert.equal(world.missed()?.why, "no cache has it");
    assert.deepEqual(world.errors(), [
      "the package set needs a newer Nix",
      "no newer Nix is to be had",
    ]);
  });

  test("is tried again after five minutes", async () => {
    const world = openWorld({ kind: "too-old", ...tooOld });
    await world.bring("2.18");
    world.clock.ms = 5 * 60_000 - 1;
    await world.bring("2.18");
    assert.equal(world.asked.length, 1);
    world.clock.ms += 1;
    await world.bring("2.18");
    assert.equal(world.asked.length, 2);
  });
});
