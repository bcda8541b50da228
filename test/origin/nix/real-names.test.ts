// The names of a real set: each attribute of the Debian-backed one is found under the name by which it
// is suggested, and that name is one that a client may ask for.

import { realpath } from "node:fs/promises";
import { assert, expect, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { attributeName } from "../../../registry/naming/attribute.ts";
import { parseRepository } from "../../../registry/naming/recipe.ts";
import { spelledMembers } from "../../../registry/package-index/spelling.ts";
import { DEBIAN_SET } from "../../e2e/deployment.ts";
import { pinPath, SYSTEM, testNix } from "./fixture.ts";

const nix = await testNix();

async function attributePaths(set: string): Promise<readonly (readonly string[])[]> {
  const expression = `let
      isDerivation = value: value.type or null == "derivation";
      in_ = path: set: builtins.concatLists (map
        (name: let value = set.\${name}; at = path ++ [ name ]; in
          if ! builtins.isAttrs value then [ ]
          else if isDerivation value then [ at ] else in_ at value)
        (builtins.attrNames set));
    in in_ [ ] (import ${set} { system = "${SYSTEM}"; })`;
  const args = ["--eval", "--strict", "--json", "-E", expression];
  const result = await nix.run("nix-instantiate", args, { deadlineMs: 60_000 });
  assert(result.kind === "exited" && result.code === 0, JSON.stringify(result));
  return JSON.parse(result.stdout);
}

test("every attribute of a real set has a name that leads to it", {
  timeout: 120_000,
}, async () => {
  const set = await realpath(DEBIAN_SET);
  const paths = await attributePaths(set);
  expect(paths.length).toBeGreaterThan(50);
  expect(paths.some((path) => path.length > 1)).toBe(true);
  expect(paths.some(([name = ""]) => /^_|[A-Z]/.test(name))).toBe(true);

  const siblings = (within: readonly string[]) => [
    ...new Set(
      paths
        .filter((path) => within.every((part, index) => path[index] === part))
        .flatMap((path) => path[within.length] ?? []),
    ),
  ];
  const nameOf = (path: readonly string[]): string =>
    path
      .map((part, at) => spelledMembers([part], siblings(path.slice(0, at)), [], "").join())
      .join(".");
  const names = paths.map(nameOf);
  expect(names.filter((name) => parseRepository(name).kind !== "recipe")).toStrictEqual([]);
  const lookups = await lookUp(nix, await pinPath(nix, set), SYSTEM, names, AbortSignal.any([]));
  const attributes = lookups.map(({ lookup }) =>
    lookup.kind === "found" ? lookup.attribute : lookup.kind,
  );
  // Some packages are there for other systems only.
  const wanted = paths.map(attributeName);
  expect(
    attributes.map((each, index) => (each === "unsupported" ? wanted[index] : each)),
  ).toStrictEqual(wanted);
  expect(attributes.filter((each) => each === "unsupported").length).toBeLessThan(5);
});
