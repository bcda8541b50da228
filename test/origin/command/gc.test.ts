// `nixport gc` as a process: what it prints, and how it ends.

import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { hexOf } from "../../registry/fixture.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { askedStore, plantNix } from "../nix/fake-nix.ts";
import { ended, start } from "./command.ts";

/** A state whose origin has stored two layers that nothing names, the first of them long ago. */
async function plantState(onEnd: Ending): Promise<string> {
  const statePath = await temporaryDirectory(onEnd);
  const layers = join(statePath, "origin/layers");
  await mkdir(layers, { recursive: true });
  for (const name of ["old", "young"]) await writeFile(join(layers, hexOf(name)), name);
  await utimes(join(layers, hexOf("old")), 1, 1);
  return statePath;
}

const run = (statePath: string, ...args: readonly string[]) =>
  ended(start(["gc", ...args], { NIXPORT_STATE: statePath }));

const layersIn = (statePath: string) => readdir(join(statePath, "origin/layers"));

describe("nixport gc", { timeout: 60_000 }, () => {
  test("takes away what nobody needs and nobody has just written", async () => {
    const statePath = await plantState(onTestFinished);
    const dry = await run(statePath, "--dry-run");
    expect(dry.stdout).toMatch(
      /^images: 0 kept, 0 not pulled for long\n +kept +would go +for want of room\nlayers +1 \(1 kB\) +1 \(1 kB\) +-\n/,
    );
    expect(await layersIn(statePath)).toHaveLength(2);
    const done = await run(statePath, "--json");
    expect(JSON.parse(done.stdout).collections.layers).toStrictEqual({
      kept: { values: 1, bytes: 5 },
      unneeded: { values: 1, bytes: 3 },
      overLimit: { values: 0, bytes: 0 },
    });
    expect(await layersIn(statePath)).toStrictEqual([hexOf("young")]);
    expect([dry.code, done.code]).toStrictEqual([0, 0]);
    await run(statePath, "--grace", "0");
    expect(await layersIn(statePath)).toStrictEqual([]);
  });

  test("keeps the list of what stays, and takes nothing away for it", async () => {
    const statePath = await plantState(onTestFinished);
    const pinned = await run(statePath, "--pin", "shell/git", "--pin", "htop:old", "--grace", "0");
    expect(pinned.stdout).toBe(
      "htop:old (from its next pull on)\nshell/git:latest (from its next pull on)\n",
    );
    await run(statePath, "--unpin", "htop:old");
    const { stdout } = await run(statePath, "--pinned");
    expect(stdout).toBe("shell/git:latest (from its next pull on)\n");
    expect(await layersIn(statePath)).toHaveLength(2);
  });

  test("runs the collector of Nix when it is told to", async () => {
    const statePath = await plantState(onTestFinished);
    const folder = await plantNix(await temporaryDirectory(onTestFinished), {
      version: "nix (Nix) 2.18.1",
      realise: "echo /nix/store/x; echo '3 store paths deleted, 1.50 MiB freed'",
    });
    await writeFile(join(folder, "settings.json"), "{}");
    const env = { NIXPORT_STATE: statePath, PATH: `${folder}:${process.env.PATH}` };
    const dry = await ended(start(["gc", "--store", "--dry-run"], env));
    expect(dry.stdout).toMatch(/\nstore: 1 store paths would go\n$/);
    const done = await ended(start(["gc", "--store"], env));
    expect(done.stdout).toMatch(/\nstore: 3 store paths deleted, 1\.50 MiB freed\n$/);
    const asked = (await askedStore(folder)).filter((args) => args.startsWith("--gc"));
    expect(asked).toStrictEqual(["--gc --print-dead", "--gc"]);
  });

  test.for([
    [["--keep", "long"], 2, /^nixport: --keep is "long": a duration, such as 30d is needed/],
    [["--max-bytes", "5 GB"], 2, /^nixport: --max-bytes is "5 GB": a size/],
    [["--pin", "Git"], 2, /^nixport: "Git" is no image/],
    [[], 1, /^nixport: nothing is stored at/],
  ] as const)("%s ends with %i", async ([args, code, words]) => {
    const ending = await run(await temporaryDirectory(onTestFinished), ...args);
    expect(ending.code).toBe(code);
    expect(ending.stderr).toMatch(words);
  });
});
