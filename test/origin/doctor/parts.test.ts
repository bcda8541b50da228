// The doctor's own rules: how checks are run, what a source needs, where limits lie, and the page.

import { mkdir, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { examine } from "../../../origin/doctor/examine.ts";
import {
  about,
  type Check,
  failed,
  notChecked,
  ok,
  warning,
} from "../../../origin/doctor/finding.ts";
import { describeFiles, describeMemory } from "../../../origin/doctor/limits.ts";
import {
  describeNeed,
  neededNix,
  PINNED_PATH,
  withNewerNix,
} from "../../../origin/doctor/needed-nix.ts";
import { formatFailed, formatPage } from "../../../origin/doctor/page.ts";
import { sourceChecks } from "../../../origin/doctor/source.ts";
import { describeSpace } from "../../../origin/doctor/storage.ts";
import { openSubject } from "../../../origin/doctor/subject.ts";
import { temporaryDirectory } from "../fixture.ts";
import { plantNix } from "./fixture.ts";

const never = new AbortController().signal;

describe("examine", { timeout: 10_000 }, () => {
  const check = (name: string, look: Check["look"], deadlineMs?: number): Check => ({
    ...{ group: "nix", check: name, isCheap: true, look },
    ...(deadlineMs !== undefined && { deadlineMs }),
  });

  test("gives a line of its own to a check that throws, hangs or sees several things", async () => {
    const { promise: hanging, resolve } = Promise.withResolvers<never>();
    let given: AbortSignal | undefined;
    const checks = [
      check("throws", () => Promise.reject(new Error("broken"))),
      check(
        "hangs",
        (signal) => {
          given = signal;
          return hanging;
        },
        10,
      ),
      check("several", async () => [about("a", ok("one")), about("b", ok("two"))]),
      check("fine", async () => ok("fine")),
    ];
    const told: string[] = [];
    const findings = await examine(checks, never, (finding) => told.push(finding.check));
    expect(findings.map((each) => [each.check, each.state, each.about, each.saw])).toStrictEqual([
      ["throws", "failed", null, "broken"],
      ["hangs", "failed", null, "no answer within 0.01 s"],
      ["several", "ok", "a", "one"],
      ["several", "ok", "b", "two"],
      ["fine", "ok", null, "fine"],
    ]);
    expect(told.toSorted()).toStrictEqual(["fine", "hangs", "several", "several", "throws"]);
    expect(given?.aborted, "what it has started is told to end").toBe(true);
    resolve(undefined as never);
  });

  test("runs all at once", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waits = check("waits", async () => {
      await promise;
      return ok("waited");
    });
    const frees = check("frees", async () => {
      resolve();
      return ok("freed");
    });
    expect(await examine([waits, frees], never)).toHaveLength(2);
  });
});

describe("what a source needs of Nix", () => {
  const nixpkgs = { kind: "nixpkgs", url: "", channel: "nixos-unstable" } as const;

  test("is told of what its kind usually needs, or is known to", async () => {
    expect(describeNeed(await neededNix(nixpkgs))).toBe("usually needs Nix 2.18 or newer");
    expect(describeNeed(await neededNix(null))).toBe("needs Nix 2.8 or newer");
  });

  test("is the newer Nix of an earlier start, where the machine's own is too old", async () => {
    const statePath = await temporaryDirectory(onTestFinished);
    const env = { PATH: await plantNix(onTestFinished, 'echo "nix (Nix) 2.11.1"') };
    const taken = async () => (await withNewerNix(env, statePath, nixpkgs)).PATH;
    expect(await taken()).toBe(env.PATH);
    await mkdir(join(statePath, "nix"));
    await symlink(PINNED_PATH, join(statePath, "nix", basename(PINNED_PATH)));
    expect(await taken()).toBe(`${PINNED_PATH}/bin:${env.PATH}`);
    const { PATH } = await withNewerNix(env, statePath, { kind: "path", path: "/nowhere" });
    expect(PATH, "what the set needs is there").toBe(env.PATH);
  });
});

describe("limits", () => {
  const rows = [
    ["memory for all evaluations", describeMemory(2e9, 2), "ok", /^2\.0 GB available; one/],
    ["memory for fewer", describeMemory(1e9, 2), "warning", /2 may run at once$/],
    ["memory for none", describeMemory(5e8, 1), "failed", /^500 MB available/],
    ["files without a limit", describeFiles(undefined), "ok", /^no limit$/],
    ["many files", describeFiles(4096), "ok", /^4096$/],
    ["some files", describeFiles(1024), "warning", /^1024$/],
    ["few files", describeFiles(1023), "failed", /^1023$/],
    ["much space", describeSpace(1e10, "x"), "ok", /^10\.0 GB free$/],
    ["little space", describeSpace(9e9, "x"), "warning", /^9\.0 GB free$/],
    ["no space", describeSpace(9e8, "x"), "failed", /^900 MB free$/],
  ] as const;
  for (const [title, { state, saw }, expected, words] of rows) {
    test(`${title}: ${expected}`, () => {
      expect(state).toBe(expected);
      expect(saw).toMatch(words);
    });
  }

  test("name the number of evaluations that fit", () => {
    expect(describeMemory(1.3e9, 4).toDo ?? "").toMatch(/NIXPORT_MAX_EVALUATIONS=2,/);
  });
});

describe("the source that would be taken", () => {
  const rows = [
    [
      "nixpkgs where it answers",
      true,
      false,
      /npm start would take nixpkgs nixos-unstable, which usually/,
    ],
    ["the set of Debian's archive that is there", false, true, /would take the package set at /],
    ["one that is still to be made", false, false, /would make a set of Debian's archive/],
  ] as const;
  test.for(rows)("is %s", async ([, answers, isThere, saw]) => {
    const statePath = await temporaryDirectory(onTestFinished);
    if (isThere) await mkdir(join(statePath, "debian"));
    const subject = openSubject({
      ...{ env: {}, statePath, isEdgeAssumed: true, signal: never },
      nixpkgsAnswers: async () => answers,
      debianSetNixConfig: () => "",
    });
    const [which] = sourceChecks(subject);
    const [finding] = await examine(which === undefined ? [] : [which], never);
    expect(finding?.saw ?? "").toMatch(saw);
  });
});

describe("the page", () => {
  const findings = [
    { group: "nix", check: "found", ...ok("Nix 2.8.0, /usr/bin/nix") },
    { group: "nix", check: "version", ...failed("2.8.0", "upgrade") },
    { group: "caches", check: "substituter", ...about("https://c", warning("slow", "wait\nlong")) },
    { group: "edge", check: "clock", ...notChecked("\x1b[2Jit does not\u202e say") },
  ] as const;

  test("has what was seen in groups, and what to do below it", () => {
    expect(formatPage(findings, false).split("\n")).toStrictEqual([
      "Nix",
      "  ok          found       Nix 2.8.0, /usr/bin/nix",
      "  failed      version     2.8.0",
      "              → upgrade",
      "",
      "Caches",
      "  warning     substituter https://c: slow",
      "              → wait long",
      "",
      "Edge",
      "  not checked clock       it does not say",
      "",
      "1 failed, 1 warning, 1 ok, 1 not checked",
      "",
    ]);
  });

  test("has colours for a terminal", () => {
    const [heading, first, second] = formatPage(findings, true).split("\n");
    expect(heading).toBe("\x1b[1mNix\x1b[22m");
    expect(first).toBe("  \x1b[32mok          \x1b[39mfound       Nix 2.8.0, /usr/bin/nix");
    expect(second).toBe("  \x1b[31mfailed      \x1b[39mversion     2.8.0");
  });

  test("is a line for what failed where nobody asked for a page", () => {
    expect(formatFailed(findings[1])).toBe("failed: nix version: 2.8.0 → upgrade");
    expect(formatFailed(findings[2])).toBe(
      "failed: caches substituter: https://c: slow → wait long",
    );
  });
});
