// Refusals of nixpkgs in the structure of its own messages, old and new, as Nix shows them.

import { describe, expect, test } from "vitest";
import { evaluationMessage } from "../../../origin/nix/nix-error.ts";
import { type RefusedPackage, readRefusal } from "../../../origin/nix/refused-package.ts";

const ADVICE = `
a) To let them pass for once, set a variable of the environment when Nix is called:

     $ export NIXPKGS_ALLOW_SOMETHING=1

b) and so on

  { allowSomething = true; }
`;
const PLACE =
  "/nix/store/9ac3fhxdb7kqy66hg18jc9y9y6w53fp7-source/pkgs/by-name/fo/foo/package.nix:12";

/** As 2.8 shows a message, and as newer versions do. */
const shown: readonly (readonly [version: string, show: (message: string) => string])[] = [
  [
    "2.8",
    (message) => `error: ${message}\n(use '--show-trace' to show detailed location information)`,
  ],
  [
    "2.26",
    (message) => `error:
       … while evaluating a branch condition
         at /nix/store/9ac3fhxdb7kqy66hg18jc9y9y6w53fp7-nix/lookup.nix:150:5:
          149|
          150|     if x

       … while calling the 'throw' builtin

       \u001b[31;1merror:\u001b[0m ${message.split("\n").join("\n       ")}`,
  ],
];

type Row = readonly [
  title: string,
  message: string,
  refused: RefusedPackage | undefined,
  first: string,
];

const rows: readonly Row[] = [
  [
    "unfree, old",
    `Package ‘foo-1.0’ in ${PLACE} has an unfree license (‘unfree’), refusing to evaluate.\n${ADVICE}`,
    { name: "foo-1.0", kind: "unfree", licenses: ["unfree"] },
    `Package ‘foo-1.0’ in ${PLACE} has an unfree license (‘unfree’), refusing to evaluate.`,
  ],
  [
    "unfree, new, with two licences",
    `Refusing to evaluate package 'foo-1.0' in «unknown-file» because it has an unfree license (‘mit unfreeRedistributable’)\n${ADVICE}`,
    { name: "foo-1.0", kind: "unfree", licenses: ["mit", "unfreeRedistributable"] },
    "Refusing to evaluate package 'foo-1.0' in «unknown-file» because it has an unfree license (‘mit unfreeRedistributable’)",
  ],
  [
    "broken, old",
    `Package ‘foo-1.0’ in /srv/my set/foo.nix:1 is marked as broken, refusing to evaluate.\n${ADVICE}`,
    { name: "foo-1.0", kind: "broken" },
    "Package ‘foo-1.0’ in /srv/my set/foo.nix:1 is marked as broken, refusing to evaluate.",
  ],
  [
    "broken, new",
    `Refusing to evaluate package 'foo-1.0' in ${PLACE} because it is marked as broken\n${ADVICE}`,
    { name: "foo-1.0", kind: "broken" },
    `Refusing to evaluate package 'foo-1.0' in ${PLACE} because it is marked as broken`,
  ],
  [
    "broken, newest",
    `Refusing to evaluate package 'foo-1.0' in ${PLACE} because it has problems:\n  - broken: it does not build\n\n${ADVICE}`,
    { name: "foo-1.0", kind: "broken" },
    `Refusing to evaluate package 'foo-1.0' in ${PLACE} because it has problems:\n- broken: it does not build`,
  ],
  [
    "another problem",
    `Refusing to evaluate package 'foo-1.0' in ${PLACE} because it has problems:\n  - removal: it goes\n\n${ADVICE}`,
    undefined,
    `Refusing to evaluate package 'foo-1.0' in ${PLACE} because it has problems:\n- removal: it goes`,
  ],
  [
    "insecure, old",
    `Package ‘foo-1.1w’ in ${PLACE} is marked as insecure, refusing to evaluate.


Known issues:
 - CVE-2026-0001
 - it is old, and there is no more to come

You can install it anyway by allowing this package, in one of these ways:
${ADVICE}`,
    {
      ...{ name: "foo-1.1w", kind: "insecure" },
      vulnerabilities: ["CVE-2026-0001", "it is old, and there is no more to come"],
    },
    `Package ‘foo-1.1w’ in ${PLACE} is marked as insecure, refusing to evaluate.`,
  ],
  [
    "unsupported, old",
    `Package ‘foo-1.0’ in ${PLACE} is not available on the requested hostPlatform:
  hostPlatform.system = "x86_64-linux"
  package.meta.platforms = [
    "x86_64-darwin"
  ]
, refusing to evaluate.
${ADVICE}`,
    { name: "foo-1.0", kind: "unsupported" },
    `Package ‘foo-1.0’ in ${PLACE} is not available on the requested hostPlatform:\nhostPlatform.system = "x86_64-linux"\npackage.meta.platforms = [\n"x86_64-darwin"\n]\n, refusing to evaluate.`,
  ],
  [
    "a licence that the operator blocks",
    `Package ‘foo-1.0’ in ${PLACE} has a blocklisted license (‘mit’), refusing to evaluate.\n\n`,
    undefined,
    `Package ‘foo-1.0’ in ${PLACE} has a blocklisted license (‘mit’), refusing to evaluate.`,
  ],
  ["no refusal", "foo was renamed\n\nto bar", undefined, "foo was renamed\nto bar"],
];

describe("readRefusal", () => {
  for (const [title, message, refused] of rows) {
    for (const [version, show] of shown) {
      test(`reads ${title}, as ${version} shows it`, () => {
        expect(readRefusal(show(message))).toStrictEqual(refused);
      });
    }
  }
});

describe("evaluationMessage", () => {
  for (const [title, message, , first] of rows) {
    for (const [version, show] of shown) {
      test(`has no advice for users of ${title}, as ${version} shows it`, () => {
        expect(evaluationMessage(show(message))).toBe(first);
      });
    }
  }
});
