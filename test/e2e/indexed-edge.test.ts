// An origin's index at its edge, once the origin is gone: what the set lacks is told in the origin's own words,
// and at a revision that nobody has pulled anything at images are those of the packages that are the same.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { tempDir } from "../origin/nix/fixture.ts";
import { get, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";
import { plantPlainSet } from "./plain-set.ts";

const atEnd = endOfFile();
const ABSENT = ["greting", "greeting/nothing", "tools", "tools.hamer", "0--47reeting", "paid"];
let deployment: Deployment;
let origin: Part;
let file: string;

const told = async (url: string, name: string) => {
  const response = await get(url, `/v2/${name}/manifests/latest`);
  return { status: response.status, body: await response.json() };
};
const pinOf = (headers: Headers) => headers.get("Nixport-Pin");

async function addToSet(attributes: string): Promise<void> {
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace(/}\s*$/, `  ${attributes}\n}\n`));
}

beforeAll(async () => {
  const path = await plantPlainSet(await tempDir(atEnd));
  file = join(path, "default.nix");
  await addToSet(`
    tools = { recurseForDerivations = true; hammer = make "hammer-1.0" "bin/hammer" "bang"; };
    paid = { type = "derivation"; name = "paid-1"; outPath = throw "no"; meta.license.free = false; };`);
  deployment = await deploy({
    packages: path,
    env: { NIXPORT_INDEX: "on", NIXPORT_PIN_FRESH: "1", NIXPORT_LOG_LEVEL: "debug" },
  });
  origin = await deployment.startOrigin();
  await deployment.startEdge();
});
afterAll(() => deployment?.close());

describe("an edge whose origin has made an index", () => {
  let before: Awaited<ReturnType<typeof pullManifest>>;

  test("has it, and images of what was pulled", async () => {
    await origin.waitFor(({ msg }) => msg === "package index sent");
    before = await pullManifest(deployment.edgeUrl, "greeting/tools.hammer");
    await origin.waitFor(({ msg, recipe }) => msg === "backfilled" && recipe !== undefined);
  });

  test("has that of a revision to which the tag moves", async () => {
    await addToSet(`later = make "later-1.0" "bin/later" "later";`);
    const start = origin.log.length;
    await expect
      .poll(
        async () => {
          await get(deployment.originUrl, "/v2/greeting/manifests/latest");
          return origin.log.slice(start).some(({ msg }) => msg === "package index sent");
        },
        { timeout: 60_000, interval: 500 },
      )
      .toBe(true);
  });

  test("says without the origin what is absent, as the origin does", async () => {
    const expected = [];
    for (const name of ABSENT) expected.push(await told(deployment.originUrl, name));
    expect(expected.map(({ status }) => status)).toStrictEqual(ABSENT.map(() => 404));
    await origin.stop();
    for (const [place, name] of ABSENT.entries()) {
      expect(await told(deployment.edgeUrl, name)).toStrictEqual(expected[place]);
    }
  });

  test("composes images at the new revision of what did not change", async () => {
    const after = await pullManifest(deployment.edgeUrl, "tools.hammer/greeting");
    expect(after.digest).toBe(before.digest);
    expect(pinOf(after.headers)).not.toBe(pinOf(before.headers));
    const alone = await pullManifest(deployment.edgeUrl, "tools.hammer");
    expect(alone.headers.get("Cache-Status")).toMatch(/hit; detail=composed/);
    expect(pinOf(alone.headers)).toBe(pinOf(after.headers));
  });
});
