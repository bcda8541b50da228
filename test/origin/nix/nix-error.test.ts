import { describe, expect, test } from "vitest";
import {
  evaluationMessage,
  evaluationPlace,
  fetchFailure,
  neededVersion,
  parseBuildErrors,
  substitutionFailure,
} from "../../../origin/nix/nix-error.ts";

const STORE = "/nix/store/zd5x0izlknyd56d3jpi6w56ymany1c6g";
const OTHER = "/nix/store/9ac3fhxdb7kqy66hg18jc9y9y6w53fp7";

describe("evaluationMessage", () => {
  const rows: readonly (readonly [title: string, stderr: string, message: string])[] = [
    [
      "leaves out the position and the hint of 2.8",
      `error: attribute 'x' missing

       at ${STORE}-source/default.nix:3:5:

            2|
            3|   a.x
             |     ^
(use '--show-trace' to show detailed location information)
`,
      "attribute 'x' missing",
    ],
    [
      "finds the message of newer versions after the trace",
      `warning: something else
error:
       … while calling the 'throw' builtin
         at ${STORE}-source/default.nix:1:2:
            1| throw
       … while evaluating the attribute 'x'

       error: this package was renamed
         to another name
`,
      "this package was renamed\nto another name",
    ],
    ["strips colours", "\u001b[31;1merror:\u001b[0m infinite recursion", "infinite recursion"],
    ["takes what there is when nothing is called an error", "Segfault\n\n", "Segfault"],
    ["says so when there is nothing", "", "the evaluation ended without a message"],
  ];
  test.for(rows)("%s", ([, stderr, message]) => expect(evaluationMessage(stderr)).toBe(message));

  test("keeps only the first lines of a long message", () => {
    const message = evaluationMessage(`error: ${"line\n".repeat(500)}`);
    expect(message.split("\n")).toHaveLength(8);
  });
});

describe("fetchFailure", () => {
  const rows: readonly (readonly [stderr: string, reason: string | undefined])[] = [
    [
      "error: unable to download 'https://h.example/x': Couldn't resolve host name (6)",
      "unable to download 'https://h.example/x': Couldn't resolve host name (6)",
    ],
    ["error: unable to download 'https://h.example/x': HTTP error 404", undefined],
    [
      "error: unable to download 'https://h.example/x': HTTP error 503",
      "unable to download 'https://h.example/x': HTTP error 503",
    ],
    [
      "fatal: unable to access 'https://h.example/': Failed to connect\nerror: program 'git' failed with exit code 128",
      "unable to access 'https://h.example/': Failed to connect",
    ],
    ["fatal: bad object x\nerror: program 'git' failed with exit code 128", undefined],
    [
      "warning: unable to download 'https://cache.example': Couldn't resolve host name (6)\nerror: attribute 'x' missing",
      undefined,
    ],
    ["error: infinite recursion encountered", undefined],
    [
      "error: failed to open archive: Unrecognized archive format",
      "failed to open archive: Unrecognized archive format",
    ],
    [
      "error: Failed to open archive (Source threw exception: error: unable to download 'https://h.example/x': HTTP error 500)",
      "Failed to open archive (Source threw exception: error: unable to download 'https://h.example/x': HTTP error 500)",
    ],
    [
      "error: Failed to open archive (Source threw exception: error: unable to download 'https://h.example/x': HTTP error 404)",
      undefined,
    ],
    ["error: cannot read file 'set/blob' from tarball", "cannot read file 'set/blob' from tarball"],
  ];
  for (const [stderr, reason] of rows) {
    test(`is ${reason ?? "none"} for ${stderr}`, () => expect(fetchFailure(stderr)).toBe(reason));
  }
});

describe("evaluationPlace", () => {
  const rows: readonly (readonly [words: string, stderr: string, place: string | undefined])[] = [
    [
      "what follows the message",
      `error: syntax error, unexpected end of file

       at ${STORE}-source/default.nix:3:11:
            3|   cacert =
(use '--show-trace' to show detailed location information)
`,
      "default.nix:3:11",
    ],
    [
      "the last of a trace that stands before it",
      `error:
       … while calling the 'seq' builtin
         at /usr/share/nixport/nix/lookup.nix:238:1:
       … while evaluating the file
         at ${STORE}-source/pkgs/top-level/impure.nix:7:1:
       … while calling the 'throw' builtin
         at ${STORE}-source/default.nix:2:3:

       error: no
`,
      "default.nix:2:3",
    ],
    ["nothing of this program's", "error: no\n at /usr/nixport/nix/load.nix:1:1:\n", undefined],
  ];
  test.for(rows)("is %s", ([, stderr, place]) => expect(evaluationPlace(stderr)).toBe(place));
});

describe("neededVersion", () => {
  const rows: readonly (readonly [stderr: string, needed: string | undefined])[] = [
    ["error: this package set needs Nix 2.18.0 or newer\n(use '--show-trace' …)", "2.18.0"],
    [
      `error: evaluation aborted with the following error message: '
       This version of Nixpkgs requires Nix >= 2.18, please upgrade:

       - If you are running NixOS, \`nixos-rebuild' can be used to upgrade your system.
'`,
      "2.18",
    ],
    ["error: some tool says that this package set needs Nix 2.18 or newer", undefined],
    ["error: attribute 'x' missing", undefined],
  ];
  for (const [stderr, needed] of rows) {
    test(`is ${needed ?? "none"} for ${stderr}`, () => expect(neededVersion(stderr)).toBe(needed));
  }
});

describe("substitutionFailure", () => {
  const rows: readonly (readonly [messages: string, why: string])[] = [
    [
      `warning: error: unable to download 'https://cache/x': timeout (28); retrying in 280 ms
warning: unable to download 'https://cache/x': timeout (28)
error: build of '${STORE}-nix' failed`,
      "unable to download 'https://cache/x': timeout (28)",
    ],
    [
      `warning: ignoring substitute for '${STORE}-nix' from 'https://cache', as it's not signed by any of the keys in 'trusted-public-keys'
error: path '${STORE}-nix' is required, but there is no substituter that can build it`,
      `ignoring substitute for '${STORE}-nix' from 'https://cache', as it's not signed by any of the keys in 'trusted-public-keys'`,
    ],
    [`error: build of '${STORE}-nix' failed`, "no cache that this Nix asks has it"],
  ];
  test.for(rows)("is $1", ([messages, why]) => expect(substitutionFailure(messages)).toBe(why));
});

describe("parseBuildErrors", () => {
  test("reads 2.8: builder, time-out and the dependents left out", () => {
    const stderr = `these 2 derivations will be built:
  ${STORE}-bad-1.drv
building '${STORE}-bad-1.drv'...
error: builder for '${STORE}-bad-1.drv' failed with exit code 3;
       last 2 log lines:
       > line1
       > error: in '${OTHER}-log.drv'
       For full logs, run 'nix log ${STORE}-bad-1.drv'.
error: building of '${OTHER}-slow-2.drv!out' from .drv file timed out after 2 seconds
error: 1 dependencies of derivation '${OTHER}-dep-1.drv' failed to build
error: build of '${OTHER}-dep-1.drv', '${STORE}-bad-1.drv' failed
`;
    expect(parseBuildErrors(stderr)).toStrictEqual([
      {
        derivation: `${STORE}-bad-1.drv`,
        timedOutAfterSeconds: null,
        reason: `builder for '${STORE}-bad-1.drv' failed with exit code 3`,
        log: ["line1", `error: in '${OTHER}-log.drv'`],
      },
      {
        derivation: `${OTHER}-slow-2.drv`,
        timedOutAfterSeconds: 2,
        reason: `building of '${OTHER}-slow-2.drv!out' from .drv file timed out after 2 seconds`,
        log: [],
      },
    ]);
  });

  test("reads newer versions: a reason of its own, and dependents in the same form", () => {
    const stderr = `error: Cannot build '${STORE}-bad-1.drv'.
       Reason: builder failed with exit code 1.
       Output paths:
         ${OTHER}-bad-1
       Last 2 log lines:
       > Running phase: unpackPhase
       > ln: Permission denied
       For full logs, run:
         nix log ${STORE}-bad-1.drv
error: Cannot build '${OTHER}-dep-1.drv'.
       Reason: 1 dependency failed.
       Output paths:
         ${STORE}-dep-1
error: Build failed due to failed dependency
`;
    expect(parseBuildErrors(stderr)).toStrictEqual([
      {
        derivation: `${STORE}-bad-1.drv`,
        timedOutAfterSeconds: null,
        reason: "builder failed with exit code 1.",
        log: ["Running phase: unpackPhase", "ln: Permission denied"],
      },
    ]);
  });

  test("reads a derivation for another system", () => {
    const stderr = `error: a 'aarch64-linux' with features {} is required to build '${STORE}-arm-1.drv', but I am a 'x86_64-linux' with features {kvm}`;
    expect(parseBuildErrors(stderr).map((error) => error.derivation)).toStrictEqual([
      `${STORE}-arm-1.drv`,
    ]);
  });
});
