// The Nix and the package source of a local start, where the machine's Nix is none that fits.

import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { chooseNixpkgs } from "../../../origin/command/host-nix.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { type FakeNix, plantNix } from "../nix/fake-nix.ts";

async function choice(onEnd: Ending, nix: FakeNix) {
  const bin = await plantNix(join(await temporaryDirectory(onEnd), "bin"), nix);
  const env = { PATH: `${bin}:/usr/bin:/bin` };
  const said: string[] = [];
  const say = (line: string) => said.push(line);
  return { chosen: await chooseNixpkgs(env, await temporaryDirectory(onEnd), say), said };
}

describe("a start without a package source", () => {
  test("takes nixpkgs where Nix is new enough", async () => {
    const { chosen, said } = await choice(onTestFinished, { version: "nix (Nix) 2.26.3" });
    assert(chosen.kind === "fits");
    expect(chosen.env.NIXERY_CHANNEL).toBe("nixos-unstable");
    expect(said).toStrictEqual(["package source: nixpkgs nixos-unstable"]);
  });

  test("goes without nixpkgs where no Nix reads it, and says why in half a line", async () => {
    const { chosen, said } = await choice(onTestFinished, { version: "nix (Nix) 2.8.0" });
    assert(chosen.kind === "unfit");
    expect(chosen.reason).toMatch(
      /^Nix 2\.8\.0 is here, nixpkgs nixos-unstable needs 2\.18 or newer, and Nix \S+ was not to be had: \/nix\/store\/\S+: no cache that this Nix asks has it$/,
    );
    expect(said).toStrictEqual([]);
  });
});
