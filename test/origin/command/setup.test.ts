// Which Node runs everything, and what is done where the packages of npm cannot start.

import { spawnSync } from "node:child_process";
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Ending, temporaryDirectory } from "../fixture.ts";

const ROOT = join(import.meta.dirname, "../../..");
const SETUP = join(ROOT, "origin/command/setup.mjs");
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

/** A checkout among whose packages is `node`; npm itself notes how it is called and runs `npm`. */
async function checkout(
  onEnd: Ending,
  { node, npm = "" }: { readonly node?: string; readonly npm?: string },
): Promise<Checkout> {
  const path = await temporaryDirectory(onEnd);
  const bin = join(path, `node_modules/node-linux-${process.arch}/bin`);
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
  test("runs on npm's Node where it starts", async () => {
    const { run } = await checkout(onTestFinished, { node: CARRIED });
    expect(run()).toMatchObject({ code: 0, stdout: "carried\n" });
    expect(run({ isOld: true })).toMatchObject({ code: 0, stdout: "carried\n" });
  });

  test.for([
    ["does not start", CANNOT_START],
    ["is started by something that only says so", "#!/bin/sh\nexit 127\n"],
    ["is too old", "#!/bin/sh\necho v22.14.0\n"],
    ["is not there", undefined],
  ] as const)("runs on the machine's own Node where npm's %s", async ([, node]) => {
    const { run } = await checkout(onTestFinished, node === undefined ? {} : { node });
    expect(run()).toMatchObject({ code: 0, stdout: `${process.execPath}\n` });
  });

  test("is started by every npm script where `node` is a Node that does not start", async () => {
    const { path, run } = await checkout(onTestFinished, { node: CANNOT_START });
    expect(run().code).toBe(0);
    const modules = join(path, "node_modules");
    await mkdir(join(modules, ".bin"));
    await symlink(`../node-linux-${process.arch}/bin/node`, join(modules, ".bin/node"));
    const manifest = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    const scripts = Object.values<string>(manifest.scripts).map((script) =>
      script.replace(/(setup\.mjs) \S+\.ts.*/, "$1 script.mjs"),
    );
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of new Set(scripts)) {
      await writeFile(join(path, "package.json"), JSON.stringify({ scripts: { script } }));
      const { stdout, stderr } = spawnSync("npm", ["run", "--silent", "script"], {
        cwd: path,
        // NixOS's: others go on to the next `node` of PATH.
        env: {
          PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
          npm_config_script_shell: "bash",
        },
        encoding: "utf8",
      });
      expect(stdout, `${script}: ${stderr}`).toBe(`${process.execPath}\n`);
    }
  });

  test("says what to do where neither will do", async () => {
    const { run } = await checkout(onTestFinished, { node: CANNOT_START });
    const { code, stderr } = run({ isOld: true });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /Node 24 or newer is needed: npm's does not start .* its own is 22\.14\.0/,
    );
  });

  for (const isOld of [false, true]) {
    test(`installs without the packages' scripts where these fail, and once only, on ${isOld ? "an old" : "a new"} Node`, async () => {
      const npm = 'if (!process.argv.includes("--ignore-scripts")) process.exit(1);';
      const { run, asked } = await checkout(onTestFinished, { node: CARRIED, npm });
      expect(run({ isOld })).toMatchObject({ code: 0, stdout: "carried\n" });
      expect(run({ isOld })).toMatchObject({ code: 0, stdout: "carried\n" });
      const calls = await asked();
      expect(calls.map((call) => [call[0], call.includes("--ignore-scripts")])).toStrictEqual([
        ["ci", false],
        ["ci", true],
      ]);
    });
  }

  for (const [home, own] of [
    ["/nonexistent", true],
    ["/", false],
  ] as const) {
    test(`has npm keep its downloads ${own ? "in" : "out of"} the checkout with HOME=${home}`, async () => {
      const { path, run, asked } = await checkout(onTestFinished, {});
      expect(run({ env: { HOME: home } }).code).toBe(0);
      const [call = []] = await asked();
      expect(call.includes(join(path, "node_modules/.cache/npm"))).toBe(own);
    });
  }

  test("says that npm failed, where it does without the scripts too, and asks it again next time", async () => {
    const { run, asked } = await checkout(onTestFinished, {
      node: CARRIED,
      npm: "process.exit(1);",
    });
    for (const calls of [2, 4]) {
      const { code, stderr } = run();
      expect(code).toBe(1);
      expect(stderr).toMatch(/npm ci failed/);
      expect(await asked()).toHaveLength(calls);
    }
  });
});
