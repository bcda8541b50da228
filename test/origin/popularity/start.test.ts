// Popularity data through a whole origin: counted at its first start, kept, and the same digests
// wherever the data are the same.

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
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
    assert.equal(names.length, 1);
    return pathToFileURL(join(folder, `${names[0]}`)).href;
  };

  test("counts its set at the first start and at no later one", async () => {
    const statePath = await temporaryDirectory(atEnd);
    const first = await startHouse(atEnd, setPath, statePath);
    assert.equal(counting(first), 1);
    const pulled = await first.pull("hello");
    await first.origin.close();
    const second = await startHouse(atEnd, setPath, statePath);
    assert.equal(counting(second), 0);
    assert.equal((await second.pull("hello")).digest, pulled.digest);
    assert.deepEqual(second.packed(), []);
  });

  test("gives the digests of any other with the same set, and of one that is given its data", async () => {
    const houses = [];
    for (let count = 0; count < 2; count += 1) {
      houses.push(await startHouse(atEnd, setPath, await temporaryDirectory(atEnd)));
    }
    const [one, other] = houses as [House, House];
    // What is realised on the way must make no difference to what the other counts.
    const { digest } = await one.pull("hello/tools");
    assert.equal((await other.pull("hello/tools")).digest, digest);
    const given = await startHouse(atEnd, setPath, await temporaryDirectory(atEnd), {
      NIX_POPULARITY_URL: await dataFile(one),
    });
    assert.equal(counting(given), 0);
    assert.equal((await given.pull("hello/tools")).digest, digest);
  });

  test("does not start on data that are none", async () => {
    const statePath = await temporaryDirectory(atEnd);
    const start = startHouse(atEnd, setPath, statePath, { NIX_POPULARITY_URL: NOTHING });
    await assert.rejects(start, /file:\/\/\/dev\/null: \/dev\/null is no file/);
  });
});
