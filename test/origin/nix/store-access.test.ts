import { describe, expect, test } from "vitest";
import {
  askStoreAccess,
  parseStoreAccess,
  type StoreAccess,
} from "../../../origin/nix/store-access.ts";
import { testNix } from "./fixture.ts";

describe("parseStoreAccess", () => {
  const rows: readonly [words: string, text: string, access: StoreAccess | undefined][] = [
    [
      "2.8",
      "Store URL: local\nVersion: 2.8.0\n",
      { url: "local", through: "itself", trusted: undefined },
    ],
    [
      "2.26 at a daemon",
      "warning: 'nix store ping' is a deprecated alias for 'nix store info'\nStore URL: daemon\nVersion: 2.26.3\nTrusted: 0\n",
      { url: "daemon", through: "daemon", trusted: false },
    ],
    [
      "a daemon elsewhere",
      "Store URL: unix:///run/nix.socket\nTrusted: 1\n",
      { url: "unix:///run/nix.socket", through: "daemon", trusted: true },
    ],
    [
      "a store of its own",
      "Store URL: /home/me/.local/share/nix/root\nVersion: 2.26.3\n",
      { url: "/home/me/.local/share/nix/root", through: "itself", trusted: undefined },
    ],
    ["something else", "error: no\n", undefined],
  ];
  test.for(rows)("reads what is said of %s", ([, text, access]) =>
    expect(parseStoreAccess(text)).toStrictEqual(access),
  );
});

test("the machine's own Nix says how it reaches its store", async () => {
  const access = await askStoreAccess(await testNix());
  expect(access?.through).toBeOneOf(["itself", "daemon"]);
});
