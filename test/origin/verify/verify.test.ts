// `npm run nixport -- verify` as a process, against an origin that serves what it is to build
// again.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/nixport.ts", import.meta.url));
const limit = { timeout: 120_000 };
const atEnd = endOfFile();

let setPath: string;
let house: House;
before(async () => {
  setPath = await plantSet(atEnd);
  house = await startHouse(atEnd, setPath, await temporaryDirectory(atEnd));
});

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

async function verify(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [COMMAND, "verify", ...args], {
    env: {
      PATH: process.env.PATH ?? "",
      HOME: process.env.HOME ?? "/root",
      NIX_CONFIG: "sandbox = false\nsubstituters =\nmax-jobs = 2\n",
      NIXERY_PKGS_PATH: setPath,
      NIXPORT_STATE: house.statePath,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, "close");
  return { code, output };
}

const imageOf = (name: string) => `${new URL(house.origin.url).host}/${REPOSITORY_PREFIX}${name}`;

describe("nixport verify", limit, () => {
  for (const form of ["zstd", "gzip", "docker"]) {
    test(`finds an image equal that is built again, in the form ${form}`, async () => {
      const { code, output } = await verify([imageOf("hello/sh"), "--form", form]);
      assert.equal(code, 0, output);
      assert.match(output, /^registry: (sha256:[0-9a-f]{64}) [^\n]*\nhere: {5}\1\nequal\n$/);
    });
  }

  test("counts the set as the origin did, away from its storage", async (t) => {
    const image = imageOf("heavy");
    const counted = await verify([image], { NIXPORT_STATE: await temporaryDirectory(t) });
    assert.equal(counted.code, 0, counted.output);
    const nothing = join(await temporaryDirectory(t), "popularity.json");
    await writeFile(nothing, "{}");
    const without = await verify([image], { NIX_POPULARITY_URL: pathToFileURL(nothing).href });
    assert.equal(without.code, 1, without.output);
  });

  test("says which layers differ from those of a registry that cuts otherwise", async (t) => {
    const data = createServer((_, response) => response.end('{"shared": 1}')).listen(
      0,
      "127.0.0.1",
    );
    t.after(() => data.close());
    await once(data, "listening");
    const { port } = data.address() as AddressInfo;
    const { code, output } = await verify([imageOf("hello/sh")], {
      NIX_POPULARITY_URL: `http://127.0.0.1:${port}/`,
    });
    assert.equal(code, 1, output);
    assert.match(output, /nixport: different\nlayer \d+ of \d+: in the registry sha256:/);
    assert.match(output, /config: in the registry sha256:/);
  });

  test("builds nothing of a revision that is not the configured source's", async (t) => {
    const other = await temporaryDirectory(t);
    await writeFile(join(other, "default.nix"), "{ }");
    const { code, output } = await verify([imageOf("hello/sh")], { NIXERY_PKGS_PATH: other });
    assert.equal(code, 1);
    assert.match(output, /the registry answered from path-[0-9a-f]+, and .* is at path-/);
  });

  const failures: readonly [string, () => readonly string[], number, RegExp][] = [
    ["no such package", () => [imageOf("nothing")], 1, /answers 404: no package nothing/],
    ["no registry", () => ["127.0.0.1:1/hello"], 1, /cannot be reached: /],
    ["no name of an image", () => ["hello/shell"], 2, /hello\/shell: .*in front/],
    ["no image", () => [], 2, /one image is needed\nusage: /],
    ["no such option", () => ["--what"], 2, /Unknown option '--what'/],
    ["no such form", () => ["hello", "--form", "tar"], 2, /--form is tar: zstd, gzip, docker/],
    ["no form either", () => ["hello", "--form", "constructor"], 2, /--form is constructor: /],
  ];
  for (const [what, args, expected, pattern] of failures) {
    test(`ends with ${expected} and says why: ${what}`, async () => {
      const { code, output } = await verify(args());
      assert.equal(code, expected);
      assert.match(output, pattern);
    });
  }
});
