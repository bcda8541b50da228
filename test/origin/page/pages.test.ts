import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { storeRoot } from "../../../origin/package-index/stored-root.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storeIndexObject } from "../../../origin/storage/stored-index.ts";
import { buildPage } from "../../../page/build.ts";
import { parsePin } from "../../../registry/naming/pin.ts";
import { describePageAnswers } from "../../contract/page-answers.ts";
import { indexOf } from "../../edge/ingest/index-bodies.ts";
import { madeUpSet } from "../../registry/package-index/made-up-set.ts";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, startHouse } from "../house.ts";

const atEnd = endOfFile();
let set: string;
let house: House;
beforeAll(async () => {
  const files = await buildPage();
  expect(Object.keys(files)).toContain("style.css");
  set = await plantSet(atEnd);
  house = await startHouse(atEnd, set, await temporaryDirectory(atEnd));
});

describe("an origin by itself answers", () => {
  describePageAnswers((path, options) => house.request(path, options));
});

test("an origin for its edge alone shows nobody a page", async () => {
  const state = await temporaryDirectory(onTestFinished);
  const variables = { NIXPORT_ACCESS: "edge", NIXPORT_SECRET: "a secret of this test" };
  const quiet = await startHouse(onTestFinished, set, state, variables);
  for (const path of ["/", "/i/git", "/api/index"]) {
    expect((await quiet.request(path)).status, path).toBe(401);
  }
});

test("a site of WEB_DIR is in place of the page and its files, and of nothing else", async () => {
  const web = join(await temporaryDirectory(onTestFinished), "web");
  await mkdir(join(web, "assets"), { recursive: true });
  await mkdir(join(web, "i"));
  await writeFile(join(web, "index.html"), "theirs");
  await writeFile(join(web, "assets/own.css"), "p {}");
  await writeFile(join(web, "i/index.html"), "never seen");
  const state = await temporaryDirectory(onTestFinished);
  const other = await startHouse(onTestFinished, set, state, { WEB_DIR: web });
  expect(await (await other.request("/")).text()).toBe("theirs");
  expect(await (await other.request("/assets/own.css")).text()).toBe("p {}");
  const { "style.css": style } = await buildPage();
  expect((await other.request(`/assets/${style}`)).status).toBe(200);
  const page = await other.request("/i/");
  expect([page.status, page.headers.get("Content-Type")]).toStrictEqual([
    400,
    "text/html; charset=utf-8",
  ]);
});

test("an origin by itself tells of the index at the default tag, and gives its objects", async () => {
  const empty = await house.request("/api/index");
  expect(await empty.json()).toStrictEqual({ indexes: [] });
  const { pin } = await house.pull("hello");
  const parsed = parsePin(pin);
  assert(parsed !== undefined);
  const { root, objects } = await indexOf(parsed, madeUpSet(50).entries);
  const store = await openFilesystemStore(join(house.statePath, "origin"));
  for (const { bytes } of objects) await storeIndexObject(store, bytes);
  await storeRoot(store, { root, askedBy: "a test" });
  const told = await house.request("/api/index");
  expect(await told.json()).toMatchObject({ indexes: [{ count: root.count }] });
  const texts = await house.request(`/api/index/objects/${root.texts.digest}`);
  const bytes = objects.find(({ digest }) => digest === root.texts.digest)?.bytes;
  expect(Buffer.from(await texts.bytes()).equals(bytes ?? Buffer.alloc(0))).toBe(true);
});
