import { describe, expect, test } from "vitest";
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
  const none = {
    ...{ expressionsId: "", evaluationDeadlineMs: 0, evaluationMemoryBytes: 0 },
    ...{ database: "", storeDirectory: "" },
  };
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
    expect(await Promise.all([world.bring("2.18"), world.bring("2.18")])).toStrictEqual([
      true,
      true,
    ]);
    expect(world.nix.version).toBe("2.31.2");
    const result = await world.nix.run("nix", [], { deadlineMs: 1 });
    expect(result.kind === "exited" && result.stdout).toBe("2.31.2");
    expect(await world.bring("2.18")).toBe(true);
    expect(world.asked).toStrictEqual(["2.8.0 to 2.18"]);
  });

  test("stays where there is none, and is told of as an error once", async () => {
    const world = openWorld({ kind: "too-old", ...tooOld });
    expect(await Promise.all([world.bring("2.18"), world.bring("2.18")])).toStrictEqual([
      false,
      false,
    ]);
    expect(await world.bring("2.18")).toBe(false);
    expect(world.nix.version).toBe("2.8.0");
    expect(world.asked).toStrictEqual(["2.8.0 to 2.18"]);
    expect(world.missed()?.why).toBe("no cache has it");
    expect(world.errors()).toStrictEqual([
      "the package set needs a newer Nix",
      "no newer Nix is to be had",
    ]);
  });

  test("is tried again after half a minute", async () => {
    const world = openWorld({ kind: "too-old", ...tooOld });
    await world.bring("2.18");
    world.clock.ms = 30_000 - 1;
    await world.bring("2.18");
    expect(world.asked).toHaveLength(1);
    world.clock.ms += 1;
    await world.bring("2.18");
    expect(world.asked).toHaveLength(2);
  });
});
