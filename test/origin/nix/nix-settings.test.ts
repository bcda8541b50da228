// What is read of the host's nix.conf, by the machine's own Nix and in the form of newer ones.

import { describe, expect, test } from "vitest";
import { parseNixSettings, readNixSettings } from "../../../origin/nix/nix-settings.ts";
import { testNix } from "./fixture.ts";

describe("readNixSettings", () => {
  test("says which caches count, and how Nix builds", async () => {
    const nix = await testNix({
      env: {
        NIX_CONFIG: [
          "substituters = https://cache.example.org file:///cache",
          "trusted-public-keys = cache.example.org-1:AAAA",
          "sandbox = false",
          "max-jobs = 3",
          "builders = ",
          "netrc-file = /etc/netrc",
        ].join("\n"),
      },
    });
    const settings = await readNixSettings(nix);
    expect(settings).toMatchObject({
      substituters: ["https://cache.example.org", "file:///cache"],
      trustedPublicKeys: ["cache.example.org-1:AAAA"],
      sandbox: false,
      maxJobs: 3,
      builders: "",
      netrcFile: "/etc/netrc",
    });
  });

  test("counts no cache where nothing is substituted", async () => {
    const nix = await testNix({
      env: { NIX_CONFIG: "substituters = https://cache.example.org\nsubstitute = false" },
    });
    expect((await readNixSettings(nix))?.substituters).toStrictEqual([]);
  });
});

describe("parseNixSettings", () => {
  const json = (sandbox: unknown) =>
    Object.fromEntries(
      Object.entries({
        ...{ substitute: true, substituters: [], "trusted-public-keys": [], sandbox },
        ...{
          "max-jobs": 1,
          builders: "",
          "netrc-file": "",
          "build-users-group": "nixbld",
          store: "auto",
        },
      }).map(([name, value]) => [name, { value, description: "…" }]),
    );

  test.for([
    [true, true],
    [false, false],
    ["relaxed", "relaxed"],
    ["true", true],
    ["false", false],
  ] as const)("reads a sandbox of %j", ([sandbox, read]) => {
    expect(parseNixSettings(json(sandbox))?.sandbox).toBe(read);
  });

  test.for([undefined, null, {}, { substituters: { value: "https://…" } }])(
    "is undefined for %j",
    (other) => {
      expect(parseNixSettings(other)).toBeUndefined();
    },
  );
});
