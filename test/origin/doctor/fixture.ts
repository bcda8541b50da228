// Runs `nixport doctor --json` as the process that an operator starts, on a machine as a test has it.

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { expect } from "vitest";
import { type Finding, GROUPS } from "../../../origin/doctor/finding.ts";
import { ended, start } from "../command/command.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";

/** What programs that read `--json` may rely on. */
const outputSchema = v.strictObject({
  findings: v.array(
    v.strictObject({
      group: v.picklist(GROUPS),
      check: v.string(),
      state: v.picklist(["ok", "warning", "failed", "not-checked"]),
      about: v.nullable(v.string()),
      saw: v.pipe(v.string(), v.minLength(1)),
      toDo: v.nullable(v.string()),
    }),
  ),
});

export interface Examined {
  readonly findings: readonly Finding[];
  readonly stderr: string;
  readonly stdout: string;
  /** The one finding of a check. */
  find(group: string, check: string, about?: string): Finding;
}

/** Nothing but what a test says is configured; no cache is asked. */
export async function doctor(
  onEnd: Ending,
  env: Readonly<Record<string, string>> = {},
): Promise<Examined> {
  const child = start(["doctor", "--json"], {
    ...{ HOME: "/nowhere", NIX_CONFIG: "sandbox = false\nsubstituters =\nmax-jobs = 2\n" },
    NIXPORT_STATE: join(await temporaryDirectory(onEnd), "state"),
    ...env,
  });
  return readFindings(await ended(child));
}

export function readFindings(result: {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}): Examined {
  const { code, stdout, stderr } = result;
  const { findings } = v.parse(outputSchema, JSON.parse(stdout));
  const count = findings.filter(({ state }) => state === "failed").length;
  expect(code, stdout).toBe(count === 0 ? 0 : 1);
  const told = count === 1 ? "nixport: 1 check failed\n" : `nixport: ${count} checks failed\n`;
  expect(stderr).toBe(count === 0 ? "" : told);
  for (const { state, toDo } of findings) {
    const isWrong = state === "failed" || state === "warning";
    expect(toDo !== null, "what is wrong says what to do, and nothing else does").toBe(isWrong);
  }
  return {
    ...{ findings, stdout, stderr },
    find(group, check, about) {
      const found = findings.filter(
        (each) =>
          each.group === group &&
          each.check === check &&
          (about === undefined || each.about === about),
      );
      expect(found, `${group} ${check}: ${JSON.stringify(found)}`).toHaveLength(1);
      return found[0] as Finding;
    },
  };
}

/** A set with nothing but what every image has. */
export async function plantSmallSet(onEnd: Ending, cacert = '"x"'): Promise<string> {
  const path = await temporaryDirectory(onEnd);
  const make = (name: string, extra: string) =>
    `derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ ]; x = ${extra}; }`;
  const text = `{ system, ... }: { cacert = ${make("nss-cacert-1.0", cacert)}; iana-etc = ${make("iana-etc-1.0", '"x"')}; }`;
  await writeFile(join(path, "default.nix"), text.replaceAll("builtins.currentSystem", "system"));
  return path;
}

/** A folder with a `nix` that does as the script says, to be put in front of PATH. */
export async function plantNix(onEnd: Ending, script: string): Promise<string> {
  const folder = join(await temporaryDirectory(onEnd), "bin");
  await mkdir(folder);
  await writeFile(join(folder, "nix"), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, "nix"), 0o755);
  return folder;
}
