import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { fittingMemoryBytes } from "../../../origin/nix/evaluation-memory.ts";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { nixRunner } from "../../../origin/nix/nix-runner.ts";
import { isOutOfMemory, runEvaluation } from "../../../origin/nix/run-evaluation.ts";
import { EXPLODING, explodingSet } from "./exploding-set.ts";
import { descendantsOf, packageSet, SYSTEM, tempDir, testNix, untilEnded } from "./fixture.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

describe("an evaluation that explodes", { timeout: 120_000 }, () => {
  test("is refused by what it takes too much of, and costs the other names nothing", async () => {
    const nix = await testNix({ evaluationMemoryBytes: 512 * MIB });
    const source = await packageSet(onTestFinished, nix, explodingSet(SYSTEM));
    const names = ["p0", ...EXPLODING, "p1"];
    const lookups = await lookUp(nix, source, SYSTEM, names, AbortSignal.any([]));
    const said = Object.fromEntries(
      lookups.map(({ name, lookup }) => [name, "message" in lookup ? lookup.message : lookup.kind]),
    );
    const tooLarge = "it takes more than 537 MB of memory to evaluate";
    expect(said).toStrictEqual({
      ...{ p0: "found", p1: "found", described: "found", noise: "found" },
      ...{ list: tooLarge, text: tooLarge, json: tooLarge },
      deep: expect.stringMatching(/^stack overflow/),
      regex: expect.stringMatching(/^stack overflow|^the evaluation ended with SIGSEGV/),
      "many.nothing": "it says more than 17 MB",
    });
  });

  test("is killed when its time is over, though it listens to nobody", async () => {
    let evaluator = 0;
    const nix = await testNix({
      evaluationDeadlineMs: 500,
      onSpawn: (program) => {
        if (program !== "nix-instantiate") return;
        // What was started last has the highest number.
        void descendantsOf(process.pid).then((pids) => {
          evaluator = pids.at(-1) ?? 0;
        });
      },
    });
    const source = await packageSet(onTestFinished, nix, explodingSet(SYSTEM));
    const [idle] = await lookUp(nix, source, SYSTEM, ["idle"], AbortSignal.any([]));
    expect(idle?.lookup).toStrictEqual({ kind: "timed-out", afterMs: 500 });
    expect(evaluator).toBeGreaterThan(0);
    await untilEnded(evaluator);
  });
});

describe("an evaluation", () => {
  test("has limits for what is collected and for the rest, and leaves no core", async () => {
    const folder = await tempDir(onTestFinished);
    const script = 'echo "$GC_MAXIMUM_HEAP_SIZE $(ulimit -d) $(ulimit -c)"';
    await writeFile(join(folder, "nix-instantiate"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const evaluationMemoryBytes = 700 * MIB;
    const run = nixRunner({ env: { PATH: folder }, evaluationMemoryBytes });
    const nix = { run, expressions: "/nowhere", evaluationMemoryBytes };
    const source = { kind: "path", path: "/nowhere", narHash: "" } as const;
    const result = await runEvaluation(nix, "lookup.nix", { source, deadlineMs: 60_000 });
    const stdout = `${700 * MIB} ${1212 * 1024} 0\n`;
    expect(result).toStrictEqual({ kind: "exited", code: 0, stdout, stderr: "" });
  });

  // Recorded: the collected heap in 2.8 and 2.26, what lies beside it in 2.26, and a thread of its own.
  test.each([
    [
      1,
      "GC Warning: Failed to expand heap by 16000131072 bytes\nGC Warning: Out of Memory! Heap size: 384 MiB. Returning NULL!\nerror: out of memory\n",
      true,
    ],
    [1, "error: out of memory\n", true],
    [null, "terminate called after throwing an instance of 'std::bad_alloc'\n", true],
    [1, "error: stack overflow (possible infinite recursion)\n", false],
    [1, "error: the builder said: out of memory\n", false],
    [0, "GC Warning: Out of Memory!  Trying to continue...\n", false],
    [null, "", false],
  ])("that ends with %s and %j ran out of memory: %s", (code, stderr, isOut) => {
    const ended =
      code === null
        ? ({ kind: "signalled", signal: "SIGABRT", stderr } as const)
        : ({ kind: "exited", code, stdout: "", stderr } as const);
    expect(isOutOfMemory(ended)).toBe(isOut);
  });

  test.each([
    ["a small host", 2 * GIB, GIB],
    ["a smaller one", GIB / 2, GIB],
    ["a common one", 8 * GIB, 2 * GIB],
    ["a large one", 256 * GIB, 4 * GIB],
  ])("may have what nixpkgs needs on %s", (_, machine, memory) => {
    expect(fittingMemoryBytes(machine)).toBe(memory);
  });
});
