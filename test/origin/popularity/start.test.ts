// Popularity data through a whole origin: counted at its first start, kept, and the same digests
// wherever the data are the same.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, startHouse } from "../house.ts";

const NOTHING = pathToFileURL("/dev/null").href;

describe("an origin without popularity data", { timeout: 120_000 }, async () => {
  const atEnd = endOfFile();
  const setPath = await plantSet(atEnd);
  const counting = ({ lines }: House) =>
    lines.filter(({ msg }) => msg === "counted what the set's packages share").length;
  const dataFile = async ({ statePath }: House) => {
    const folder = join(statePath, "origin/popularity");
    const names = await readdir(folder);
    expect(names).toHaveLength(1);
    return pathToFileURL(join(folder, `${names[0]}`)).href;
  };

  test("counts its set at the first start and at no later one", async () => {
    const statePath = await temporaryDirectory(atEnd);
    const first = await startHouse(atEnd, setPath, statePath);
    expect(counting(first)).toBe(1);
    const pulled = await first.pull("hello");
    await first.origin.close();
    const second = await startHouse(atEnd, setPath, statePath);
    expect(counting(second)).toBe(0);
    expect((await second.pull("hello")).digest).toBe(pulled.digest);
    expect(second.packed()).toStrictEqual([]);
  });

  test("gives the digests of any other with the same set, and of one that is given its data", async () => {
    const houses = [];
    for (let count = 0; count < 2; count += 1) {
      houses.push(await startHouse(atEnd, setPath, await temporaryDirectory(atEnd)));
    }
    const [one, other] = houses as [House, House];
    // What is realised on the way must make no difference to what the other counts.
    const { digest } = await one.pull("hello/tools");
    expect((await other.pull("hello/tools")).digest).toBe(digest);
    const given = await startHouse(atEnd, setPath, await temporaryDirectory(atEnd), {
      NIX_POPULARITY_URL: await dataFile(one),
    });
    expect(counting(given)).toBe(0);
    expect((await given.pull("hello/tools")).digest).toBe(digest);
  });

  test("does not start on data that are none", async () => {
    const statePath = await temporaryDirectory(atEnd);
    const start = startHouse(atEnd, setPath, statePath, { NIX_POPULARITY_URL: NOTHING });
    await expect(start).rejects.toThrow(/file:\/\/\/dev\/null: \/dev\/null is no file/);
  });
});
