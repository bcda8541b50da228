// The Nix and the package source of a local start, where the machine's Nix is none that fits.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { chooseNixpkgs } from "../../../origin/command/host-nix.ts";
import { temporaryDirectory } from "../fixture.ts";
import { type FakeNix, plantNix } from "../nix/fake-nix.ts";

async function choice(t: TestContext, nix: FakeNix) {
  const bin = await plantNix(join(await temporaryDirectory(t), "bin"), nix);
  const env = { PATH: `${bin}:/usr/bin:/bin` };
  const said: string[] = [];
  const say = (line: string) => said.push(line);
  return { chosen: await chooseNixpkgs(env, await temporaryDirectory(t), say), said };
}

describe("a start without a package source", () => {
  test("takes nixpkgs where Nix is new enough", async (t) => {
    const { chosen, said } = await choice(t, { version: "nix (Nix) 2.26.3" });
    assert(chosen.kind === "fits");
    assert.equal(chosen.env.NIXERY_CHANNEL, "nixos-unstable");
    assert.deepEqual(said, ["package source: nixpkgs nixos-unstable"]);
  });

  test("goes without nixpkgs where no Nix reads it, and says why in half a line", async (t) => {
    const { chosen, said } = await choice(t, { version: "nix (Nix) 2.8.0" });
    assert(chosen.kind === "unfit");
    assert.match(
      chosen.reason,
      /^Nix 2\.8\.0 is here, nixpkgs nixos-unstable needs 2\.18 or newer, and Nix \S+ was not to be had: \/nix\/store\/\S+: no cache that this Nix asks has it$/,
    );
    assert.deepEqual(said, []);
  });
});
