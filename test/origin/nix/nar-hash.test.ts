import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { parseNarHash } from "../../../origin/nix/nar-hash.ts";
import { digestOfText } from "../../registry/fixture.ts";

const HASHES = [
  `sha256:${"0".repeat(64)}`,
  `sha256:${"f".repeat(64)}`,
  ...Array.from({ length: 5 }, (_, place) => digestOfText(`hash ${place}`)),
];

/** As the machine's Nix writes it. */
function written(way: "base16" | "base32" | "sri", hash: string): string {
  const args = ["hash", `to-${way}`, "--extra-experimental-features", "nix-command", hash];
  const { status, stdout, stderr } = spawnSync("nix", args, { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  return stdout.trim();
}

describe("parseNarHash", () => {
  test.for(HASHES)(
    "reads %s as Nix writes it in its database, to commands and builders",
    (hash) => {
      expect(parseNarHash(hash)).toBe(hash);
      expect(parseNarHash(written("sri", hash))).toBe(hash);
      expect(parseNarHash(`sha256:${written("base32", hash)}`)).toBe(hash);
    },
  );

  test.for([
    ...["", "sha256:", "sha256-", "sha512-2xN9x+7f1kp6LN7GtUGEmWdnfdTRygu6Ui1HvXoW3fw="],
    ...["sha256:e".padEnd(59, "0"), "sha256:0".padEnd(60, "0"), "db137dc7", null, undefined, 7, {}],
  ])("takes %j for no hash", (said) => expect(parseNarHash(said)).toBeNull());
});
