import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { formatPopularity } from "../../../origin/layers/popularity.ts";
import { temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";

const INDEXED = { NIXPORT_INDEX: "on" };

describe("an origin with an index of its set", { timeout: 120_000 }, () => {
  test("looks names up in it, of a package that must be built and of none", async () => {
    const [set, state] = [await plantSet(onTestFinished), await temporaryDirectory(onTestFinished)];
    // To count a set writes its derivations.
    const counts = join(state, "counts.json");
    await writeFile(counts, formatPopularity({ kind: "closures", counted: 1, counts: new Map() }));
    const house = await startHouse(onTestFinished, set, state, {
      ...INDEXED,
      NIX_POPULARITY_URL: `file://${counts}`,
    });
    await indexed(house);
    expect(house.origin.indexes()).toMatchObject([
      { kind: "complete", tags: ["latest"], unexplained: 0 },
    ]);

    house.forget();
    const missing = await house.request(`/v2/${REPOSITORY_PREFIX}helo/manifests/latest`);
    expect(missing.status).toBe(404);
    expect(await missing.text()).toContain("hello");
    expect(house.started).toStrictEqual([]);
    // No cache has it, and to build it its derivation must be written.
    await house.pull("hello");
    const evaluations = house.started.filter((each) => each.startsWith("nix-instantiate"));
    expect(evaluations).toHaveLength(1);
  });

  test("makes none again at the next start", async () => {
    const [set, state] = [await plantSet(onTestFinished), await temporaryDirectory(onTestFinished)];
    const first = await startHouse(onTestFinished, set, state, INDEXED);
    await indexed(first);
    await first.origin.close();
    const second = await startHouse(onTestFinished, set, state, INDEXED);
    await expect.poll(() => second.origin.indexes()[0]?.kind).toBe("complete");
    expect(second.lines.filter(({ msg }) => msg === "indexed")).toStrictEqual([]);
  });
});

async function indexed({ lines }: House): Promise<void> {
  const isIndexed = () => lines.some(({ msg }) => msg === "indexed");
  await expect.poll(isIndexed, { timeout: 60_000 }).toBe(true);
}
