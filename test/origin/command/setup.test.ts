// Which Node runs everything, and what is done where the packages of npm cannot start.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { temporaryDirectory } from "../fixture.ts";

const SETUP = join(import.meta.dirname, "../../../origin/command/setup.mjs");
const SCRIPT = "console.log(process.execPath);";
/** What the kernel and a shell make of a program whose loader is not there. */
const CANNOT_START = "#!/lib64/no-such-loader\n";
const OLD_NODE = `data:text/javascript,${encodeURIComponent(
  'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "22.14.0" } })',
)}`;

interface Checkout {
  readonly path: string;
  run(more?: { readonly isOld?: boolean; readonly env?: Readonly<Record<string, string>> }): {
    readonly code: number | null;
    readonly stdout: string;
    readonly stderr: string;
  };
  /** What npm was asked for, call by call. */
  asked(): Promise<readonly (readonly string[])[]>;
}

/** A checkout whose npm's Node is `node`; npm itself notes how it is called and runs `npm`. */
async function checkout(
  t: TestContext,
  { node, npm = "" }: { readonly node?: string; readonly npm?: string },
): Promise<Checkout> {
  const path = await temporaryDirectory(t);
  const bin = join(path, "node_modules/node/bin");
  await mkdir(join(path, "origin/command"), { recursive: true });
  await copyFile(SETUP, join(path, "origin/command/setup.mjs"));
  await writeFile(join(path, "package-lock.json"), "{}");
  await writeFile(join(path, "script.mjs"), SCRIPT);
  await mkdir(bin, { recursive: true });
  if (node !== undefined) {
    await writeFile(join(bin, "node"), node);
    await chmod(join(bin, "node"), 0o755);
  }
  const calls = join(path, "npm-calls");
  await writeFile(
    join(path, "npm.cjs"),
    `require("node:fs").appendFileSync(${JSON.stringify(calls)}, JSON.stringify(process.argv.slice(2)) + "\\n");
     ${npm}`,
  );
  return {
    path,
    run({ isOld = false, env = {} } = {}) {
      const preload = isOld ? ["--import", OLD_NODE] : [];
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [...preload, join(path, "origin/command/setup.mjs"), "script.mjs"],
        {
          env: { PATH: process.env.PATH ?? "", npm_execpath: join(path, "npm.cjs"), ...env },
          encoding: "utf8",
        },
      );
      return { code: status, stdout, stderr };
    },
    async asked() {
      const lines = (await readFile(calls, "utf8")).trim().split("\n");
      return lines.map((line) => JSON.parse(line));
    },
  };
}

/** Another program than the machine's own Node, which still runs scripts. */
const CARRIED = `#!/bin/sh
if [ "$1" = --version ]; then echo v24.21.0; else echo carried; fi
`;

describe("setup.mjs", () => {
  test("runs on npm's Node where it starts", async (t) => {
    const { run } = await checkout(t, { node: CARRIED });
    assert.partialDeepStrictEqual(run(), { code: 0, stdout: "carried\n" });
    assert.partialDeepStrictEqual(run({ isOld: true }), { code: 0, stdout: "carried\n" });
  });

  for (const [what, node] of [
    ["does not start", CANNOT_START],
    ["is started by something that only says so", "#!/bin/sh\nexit 127\n"],
    ["is too old", "#!/bin/sh\necho v22.14.0\n"],
    ["is not there", undefined],
  ] as const) {
    test(`runs on the machine's own Node where npm's ${what}`, async (t) => {
      const { run } = await checkout(t, node === undefined ? {} : { node });
      assert.partialDeepStrictEqual(run(), { code: 0, stdout: `${process.execPath}\n` });
    });
  }

  test("says what to do where neither will do", async (t) => {
    const { run } = await checkout(t, { node: CANNOT_START });
    const { code, stderr } = run({ isOld: true });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /Node 24 or newer is needed: npm's does not start .* its own is 22\.14\.0/,
    );
  });

  test("installs without the packages' scripts where these fail, and once only", async (t) => {
    const npm = 'if (!process.argv.includes("--ignore-scripts")) process.exit(1);';
    const { run, asked } = await checkout(t, { npm });
    assert.equal(run().code, 0);
    assert.equal(run().code, 0);
    const calls = await asked();
    assert.deepEqual(
      calls.map((call) => call.includes("--ignore-scripts")),
      [false, true],
    );
  });

  for (const [home, own] of [
    ["/nonexistent", true],
    ["/", false],
  ] as const) {
    test(`has npm keep its downloads ${own ? "in" : "out of"} the checkout with HOME=${home}`, async (t) => {
      const { path, run, asked } = await checkout(t, {});
      assert.equal(run({ env: { HOME: home } }).code, 0);
      const [call = []] = await asked();
      assert.equal(call.includes(join(path, "node_modules/.cache/npm")), own);
    });
  }

  test("does not try that where only npm's Node could run what follows", async (t) => {
    const { run, asked } = await checkout(t, { npm: "process.exit(1);" });
    const { code, stderr } = run({ isOld: true });
    assert.equal(code, 1);
    assert.match(stderr, /npm install failed/);
    assert.equal((await asked()).length, 1);
  });
});
