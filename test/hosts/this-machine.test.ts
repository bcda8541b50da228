// The ways to have Nix that this machine itself can show: root's, in the usual place and below
// another root.

import { describe, onTestFinished, test } from "vitest";
import { deploy } from "../e2e/deployment.ts";
import { temporaryDirectory } from "../origin/fixture.ts";
import { assertPulls, plantSmallSet } from "./small-set.ts";

/** Nix builds in a sandbox wherever a store is not where it says, and bookworm's has no shell there. */
const SANDBOXED = `substituters =
sandbox = true
sandbox-paths = /bin/sh=/usr/bin/dash /lib=/usr/lib /lib64=/usr/lib64`;

describe("on this machine", { timeout: 60_000 }, () => {
  const rows: readonly (readonly [what: string, remote: (folder: string) => string])[] = [
    ["a pull is packed from the usual store", () => ""],
    ["a pull is packed from a store of its own", (folder) => `local?root=${folder}/own`],
    ["a pull is packed from a store of its own, named by its folder", (folder) => `${folder}/own`],
  ];
  test.for(rows)("%s", async ([, remote]) => {
    const folder = await temporaryDirectory(onTestFinished);
    await plantSmallSet(`${folder}/set`);
    const deployment = await deploy({
      packages: `${folder}/set`,
      env: { NIX_REMOTE: remote(folder), NIX_CONFIG: SANDBOXED },
    });
    onTestFinished(() => deployment.close());
    const { url } = await deployment.startOrigin();
    await assertPulls(url);
  });
});
