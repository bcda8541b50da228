// The last lines of a run of tests: what was skipped, by name, how much ran, and the counts that a
// machine reads too. In CI a skipped test is a failure.

import type { Reporter, TestCase, TestModule, Vitest } from "vitest/node";

export default class ClosingLines implements Reporter {
  #vitest: Vitest | undefined;
  #startedMs = 0;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunStart(): void {
    this.#startedMs = performance.now();
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((each) => [...each.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    // A file that could not be loaded has no test to fail.
    const broken = modules.filter((each) => each.errors().length > 0).length + errors.length;
    const skipped = tests.filter((test) => test.result().state === "skipped");
    const lines = skipped.map((test) => `skipped: ${nameOf(test)}`);
    const seconds = Math.round((performance.now() - this.#startedMs) / 1000);
    lines.push(`ran ${modules.length} files in ${seconds} s`);
    if (process.env.CI === "true" && skipped.length > 0) {
      lines.push("in CI a skipped test is a failure");
      process.exitCode = 1;
    }
    const failed = count("failed") + broken;
    lines.push(`${count("passed")} passed, ${failed} failed, ${skipped.length} skipped`);
    this.#vitest?.logger.log(`\n${lines.join("\n")}`);
  }
}

function nameOf(test: TestCase): string {
  const { note } = { note: undefined, ...test.result() };
  const name = `${test.module.relativeModuleId} > ${test.fullName}`;
  const reason = note ?? test.meta().reason;
  return reason === undefined ? name : `${name} (${reason})`;
}
