// `nixport fsck` as a process: what it prints, and how it ends.

import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { hexOf } from "../../registry/fixture.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { ended, start } from "./command.ts";

/** A state whose origin has stored two layers, one of which has other bytes than its name says. */
async function plantState(onEnd: Ending): Promise<string> {
  const statePath = await temporaryDirectory(onEnd);
  const layers = join(statePath, "origin/layers");
  await mkdir(layers, { recursive: true });
  await writeFile(join(layers, hexOf("whole")), "whole");
  await writeFile(join(layers, hexOf("damaged")), "other");
  return statePath;
}

const DAMAGED = `layers/${hexOf("damaged")}`;

describe("nixport fsck", { timeout: 60_000 }, () => {
  test("names what is wrong, changes nothing and ends with 1", async () => {
    const statePath = await plantState(onTestFinished);
    const { code, stdout, stderr } = await ended(start(["fsck"], { NIXPORT_STATE: statePath }));
    expect(stdout).toMatch(
      /^origin: 1 wrong\n {2}layers +2 {2}1 kB\n {2}2 layers that nothing names\n/,
    );
    expect(stdout).toContain(`\n  damaged: ${DAMAGED}\n`);
    expect(stderr).toBe("nixport: 1 value is wrong\n");
    expect(code).toBe(1);
    const left = await readdir(join(statePath, "origin"), { recursive: true });
    expect(left).toHaveLength(3);
  });

  test("says the same as an object", async () => {
    const statePath = await plantState(onTestFinished);
    const result = await ended(start(["fsck", "--json"], { NIXPORT_STATE: statePath }));
    const { origin } = JSON.parse(result.stdout);
    expect(origin.findings).toStrictEqual([{ key: DAMAGED, kind: "damaged" }]);
    expect(origin.collections.layers).toStrictEqual({ values: 2, bytes: 10 });
    expect(result.code).toBe(1);
  });

  test("does not find a storage in order that is not there", async () => {
    const statePath = await temporaryDirectory(onTestFinished);
    const { code, stderr } = await ended(start(["fsck"], { NIXPORT_STATE: statePath }));
    expect(stderr).toBe(`nixport: nothing is stored at ${statePath}/origin\n`);
    expect(code).toBe(1);
  });

  test("removes what nothing can be made of, and ends with 0", async () => {
    const statePath = await plantState(onTestFinished);
    const result = await ended(start(["fsck", "--repair"], { NIXPORT_STATE: statePath }));
    expect(result.stdout).toMatch(
      new RegExp(`\\nrepaired: nothing is wrong any more\\n  gone: ${DAMAGED}\\n$`),
    );
    expect(result.code).toBe(0);
    const left = await readdir(join(statePath, "origin/layers"));
    expect(left).toStrictEqual([hexOf("whole")]);
    const again = await ended(start(["fsck"], { NIXPORT_STATE: statePath }));
    expect(again.code).toBe(0);
  });
});
