import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { buildInto } from "../../page/build.ts";
import { ASSET_NAMES, MANIFEST_FILE, parseAssetFiles } from "../../page/html/assets.ts";
import { homePage } from "../../page/html/home.ts";

/** What a reader on a slow line waits for, data aside. */
const MAX_COMPRESSED_BYTES = 100_000;

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "nixport-page-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe("the build of the pages", () => {
  test("gives every file under a name of its content, and the manifest of them", async () => {
    const dist = await temporary();
    const files = await buildInto(dist);
    expect(Object.keys(files).sort()).toStrictEqual([...ASSET_NAMES].sort());
    const said = await readFile(join(dist, MANIFEST_FILE), "utf8");
    expect(parseAssetFiles(said)).toStrictEqual(files);
    expect((await readdir(join(dist, "assets"))).sort()).toStrictEqual(Object.values(files).sort());
    expect(await buildInto(await temporary())).toStrictEqual(files);
  });

  test("takes away what an earlier one left, and stands several at once", async () => {
    const dist = await temporary();
    const files = await buildInto(dist);
    await writeFile(join(dist, "assets/home-AAAAAAAA.js"), "old");
    await Promise.all([buildInto(dist), buildInto(dist)]);
    expect((await readdir(join(dist, "assets"))).sort()).toStrictEqual(Object.values(files).sort());
  });

  test("is small: page, scripts and style together", async () => {
    const dist = await temporary();
    const files = await buildInto(dist);
    const page = homePage({ files, host: "r.example", platforms: ["amd64"], read: undefined });
    const contents = await Promise.all(
      Object.values(files).map((file) => readFile(join(dist, "assets", file))),
    );
    const sizes = [Buffer.from(page.markup), ...contents].map((each) => gzipSync(each).length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    process.stdout.write(`the pages have ${total} bytes compressed\n`);
    expect(total).toBeLessThan(MAX_COMPRESSED_BYTES);
  });

  test("says of everything that its style calls by a name what it is", async () => {
    const dist = await temporary();
    const { "style.css": file } = await buildInto(dist);
    const style = await readFile(join(dist, "assets", file), "utf8");
    const said = [...style.matchAll(/[{;](--[a-z-]+):/g)].map(([, name]) => name);
    const called = [...style.matchAll(/var\((--[a-z-]+)\)/g)].map(([, name]) => name);
    expect(called).toContain("--margin");
    expect(called.filter((name) => !said.includes(name))).toStrictEqual([]);
  });

  test("holds no address of anybody else's, and nothing that runs text as a program", async () => {
    const dist = await temporary();
    const files = await buildInto(dist);
    for (const file of Object.values(files)) {
      const text = await readFile(join(dist, "assets", file), "utf8");
      const addresses = text.match(/\bhttps?:\/\/[^\s"'`)]+/g) ?? [];
      expect(addresses.filter((each) => each !== "http://www.w3.org/2000/svg")).toStrictEqual([]);
      expect(text).not.toMatch(/\beval\(|new Function\b|document\.write/);
    }
  });
});
