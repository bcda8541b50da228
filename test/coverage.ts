// `npm run coverage`: runs tests as `npm test` does, and says which functions of the product no process
// has entered: of the tests, of the commands that they start, of worker threads. The edge runs in
// workerd, whose code is not seen; a process that is killed writes nothing.

import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(import.meta.dirname, "..");
const PRODUCT = ["registry/**/*.ts", "origin/**/*.ts", "nix/**/*.ts"];

interface Script {
  readonly url: string;
  readonly functions: readonly {
    readonly functionName: string;
    readonly ranges: readonly { readonly startOffset: number; readonly count: number }[];
  }[];
}

/** A function, by where it begins. */
interface Entered {
  readonly name: string;
  readonly offset: number;
  isEntered: boolean;
}

const folder = mkdtempSync(join(tmpdir(), "nixport-coverage-"));
try {
  const args = [join(import.meta.dirname, "run.ts"), ...process.argv.slice(2)];
  const env = { ...process.env, NODE_V8_COVERAGE: folder };
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit", env });
  report(readFunctions());
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function readFunctions(): ReadonlyMap<string, ReadonlyMap<number, Entered>> {
  const files = new Map<string, Map<number, Entered>>();
  for (const name of readdirSync(folder)) {
    const { result } = JSON.parse(readFileSync(join(folder, name), "utf8")) as { result: Script[] };
    for (const { url, functions } of result) {
      if (!url.startsWith("file://")) continue;
      const file = relative(ROOT, fileURLToPath(url));
      const known = files.get(file) ?? new Map<number, Entered>();
      files.set(file, known);
      for (const { functionName, ranges } of functions) {
        const [whole] = ranges;
        if (whole === undefined || functionName === "") continue;
        const offset = whole.startOffset;
        const before = known.get(offset) ?? { name: functionName, offset, isEntered: false };
        before.isEntered ||= whole.count > 0;
        known.set(offset, before);
      }
    }
  }
  return files;
}

function report(files: ReadonlyMap<string, ReadonlyMap<number, Entered>>): void {
  const folders = new Map<string, { all: number; entered: number; unseen: string[] }>();
  for (const file of globSync(PRODUCT, { cwd: ROOT }).sort()) {
    const row = folders.get(dirname(file)) ?? { all: 0, entered: 0, unseen: [] };
    folders.set(dirname(file), row);
    const functions = [...(files.get(file)?.values() ?? [])];
    row.all += functions.length;
    row.entered += functions.filter(({ isEntered }) => isEntered).length;
    if (!files.has(file)) row.unseen.push(`${file}  loaded by nothing`);
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const { name, offset, isEntered } of functions) {
      // Types are blanked out and nothing is moved, so offsets are those of the source.
      const line = text.slice(0, offset).split("\n").length;
      if (!isEntered) row.unseen.push(`${file}:${line}  ${name}`);
    }
  }
  for (const [name, { all, entered }] of folders) {
    process.stdout.write(`${name.padEnd(24)} ${entered} of ${all} named functions entered\n`);
  }
  process.stdout.write("\nnever entered:\n");
  for (const { unseen } of folders.values()) {
    for (const each of unseen) process.stdout.write(`  ${each}\n`);
  }
}
