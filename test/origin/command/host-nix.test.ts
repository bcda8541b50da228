// The Nix and the package source of a local start, where the machine's Nix is none that fits.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { debianSetObstacle } from "../../../origin/command/debian-set-obstacle.ts";
import { chooseNixpkgs } from "../../../origin/command/host-nix.ts";
import { temporaryDirectory } from "../fixture.ts";
import { type FakeNix, plantNix } from "../nix/fake-nix.ts";

async function environment(t: TestContext, nix: FakeNix) {
  const bin = await plantNix(join(await temporaryDirectory(t), "bin"), nix);
  return { bin, env: { PATH: `${bin}:/usr/bin:/bin` } };
}

async function choice(t: TestContext, nix: FakeNix) {
  const { env } = await environment(t, nix);
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

describe("debianSetObstacle", () => {
  const daemon = { version: "nix (Nix) 2.26.3", storeUrl: "daemon", trusted: false };
  const rows: readonly [words: string, nix: FakeNix, sandbox: boolean | string, told: boolean][] = [
    ["a daemon's sandbox that this user may not turn off", daemon, true, true],
    ["a daemon's sandbox that is left by whoever asks", daemon, "relaxed", false],
    ["a daemon without a sandbox", daemon, false, false],
    ["a daemon that trusts this user", { ...daemon, trusted: true }, true, false],
    ["a store of this user's", { ...daemon, storeUrl: "local" }, true, false],
  ];
  for (const [words, nix, sandbox, told] of rows) {
    test(`is ${told ? "told" : "none"} for ${words}`, async (t) => {
      const { bin, env } = await environment(t, nix);
      await writeFile(join(bin, "settings.json"), JSON.stringify(settings(sandbox)));
      const obstacle = await debianSetObstacle({ ...env, NIX_CONFIG: "sandbox = false" });
      if (told) assert.match(obstacle ?? "", /sandbox = relaxed.*systemctl restart nix-daemon/);
      else assert.equal(obstacle, undefined);
    });
  }
});

/** As `nix config show --json` has them, as far as they are read. */
function settings(sandbox: boolean | string) {
  const values = {
    ...{ substitute: true, substituters: [], "trusted-public-keys": [], sandbox, "max-jobs": 1 },
    ...{ builders: "", "netrc-file": "", "build-users-group": "nixbld", store: "auto" },
  };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]));
}
