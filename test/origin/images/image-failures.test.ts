// Packages that cannot be had, asked for by name: what the client is told, what is done for it once,
// and what is remembered.

import { access, readdir } from "node:fs/promises";
import { join } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { EnvironmentVariables } from "../../../origin/configuration/config.ts";
import type { PackageDetail } from "../../../registry/failures/failed-package.ts";
import { skipWhere } from "../../skip-where.ts";
import { plantFailingSet } from "../failing-set.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, REPOSITORY_PREFIX, startHouse } from "../house.ts";
import { hidesHost } from "../nix/sandbox-shell.ts";

const limit = { timeout: 180_000 };
const atEnd = endOfFile();
let setPath: string;

beforeAll(async () => {
  setPath = await plantFailingSet(atEnd);
});

async function fresh(onEnd: Ending, variables: EnvironmentVariables = {}): Promise<House> {
  return startHouse(onEnd, setPath, await temporaryDirectory(onEnd), variables);
}

async function restart(
  onEnd: Ending,
  house: House,
  variables: EnvironmentVariables = {},
): Promise<House> {
  await house.origin.close();
  return startHouse(onEnd, setPath, house.statePath, variables);
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly detail: readonly PackageDetail[];
}

async function refusal(house: House, name: string): Promise<Refusal> {
  const response = await house.request(`/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`);
  const body = (await response.json()) as { errors: [Omit<Refusal, "status">] };
  return { ...body.errors[0], status: response.status };
}

/** What packing has left in the storage's staging folders. */
async function unfinished({ statePath }: House): Promise<readonly string[]> {
  const names = await readdir(join(statePath, "origin/staging"), { recursive: true });
  return names.filter((name) => name.includes("/") && !name.endsWith("/lock"));
}

/** How often each program was started since it was last asked. */
function startedIn(house: House): { readonly evaluations: number; readonly builds: number } {
  const count = (what: RegExp) => house.started.filter((each) => what.test(each)).length;
  const counts = { evaluations: count(/instantiate/), builds: count(/realise/) };
  house.forget();
  return counts;
}

const reasonsOf = ({ detail }: Refusal) => detail.map((each) => [each.package, each.reason]);

describe("a package that cannot be had", limit, () => {
  const rows: readonly [name: string, message: RegExp][] = [
    ["helo/hello", /^no package helo \(did you mean hello/],
    ["nested", /^nested is a set, not a package \(did you mean nested\.other, nested\.inner\?\)$/],
    ["licensed", /^licensed has an unfree licence \(own-licence\), .*\{"allowUnfree":true\}$/],
    ["defective", /^defective is marked broken, .*\{"allowBroken":true\}$/],
    ["leaky", /^leaky .* \(CVE-2026-0001\), .*\{"permittedInsecurePackages":\["leaky-1\.0"\]\}$/],
    ["elsewhere", /^elsewhere does not support (?:x86_64|aarch64)-linux$/],
    ["throwing/hello", /^throwing cannot be evaluated: it was renamed to hello$/],
    ["aborting", /^aborting cannot be evaluated: .*nothing can be said of it/],
    ["recursive", /^recursive cannot be evaluated: infinite recursion/],
    ["unreadable", /^unreadable cannot be evaluated: .*'…\/default\.nix'/],
    [
      "failing",
      /^failing cannot be built: .*-failing-1\.0\.drv.*exit code 7.*\n {2}this went wrong$/s,
    ],
    ["dependent", /^dependent cannot be built: .*-failing-1\.0\.drv.*\n {2}this went wrong$/s],
    ["nosuch/hullo", /^no package hullo .*\nno package nosuch/],
  ];
  test.for(rows)("makes %s MANIFEST_UNKNOWN, and says why", async ([name, message]) => {
    const refused = await refusal(await fresh(onTestFinished), name);
    expect(refused.status).toBe(404);
    expect(refused.code).toBe("MANIFEST_UNKNOWN");
    expect(refused.message).toMatch(message);
    const said = JSON.stringify(refused);
    for (const place of [setPath, "/tmp/"]) expect(said, said).not.toContain(place);
  });

  test("has a builder that ran out of time, and says after how long", async () => {
    const refused = await refusal(await fresh(onTestFinished, { NIX_TIMEOUT: "1" }), "slow");
    expect(refused.code).toBe("MANIFEST_UNKNOWN");
    expect(reasonsOf(refused)).toStrictEqual([["slow", "build-timed-out"]]);
    expect(refused.message).toMatch(/-slow-1\.0\.drv was stopped after 1 s/);
  });

  test("is named with every other one whose name leads nowhere, and nothing is built", async () => {
    const house = await fresh(onTestFinished);
    const names = "aborting/defective/failing/hello/helo/leaky/licensed/throwing";
    expect(reasonsOf(await refusal(house, names))).toStrictEqual([
      ["aborting", "evaluation-failed"],
      ["defective", "broken"],
      ["helo", "missing"],
      ["leaky", "insecure"],
      ["licensed", "unfree"],
      ["throwing", "evaluation-failed"],
    ]);
    expect(startedIn(house).builds).toBe(0);
  });

  test("is named with every other one that cannot be built", async () => {
    const house = await fresh(onTestFinished);
    const refused = await refusal(house, "dependent/failing/failing-too/hello");
    expect(reasonsOf(refused)).toStrictEqual([
      ["dependent", "build-failed"],
      ["failing", "build-failed"],
      ["failing-too", "build-failed"],
    ]);
    expect(refused.message).toMatch(/exit code 7.*exit code 8/s);
  });

  test("keeps nobody from the others, whose records are kept", async () => {
    const house = await fresh(onTestFinished);
    expect((await refusal(house, "failing/hello")).status).toBe(404);
    expect(house.packed().length).toBeGreaterThan(0);
    house.forget();
    await house.pull("hello");
    expect(house.started).toStrictEqual([]);
    expect(house.packed()).toStrictEqual([]);
  });

  test("is named alone of those that shell stands for", async () => {
    const house = await fresh(onTestFinished);
    expect(reasonsOf(await refusal(house, "shell/hello"))).toStrictEqual([
      ["moreutils", "build-failed"],
    ]);
    const mended = await restart(onTestFinished, house, {
      NIXPORT_NIXPKGS_CONFIG: '{"mended":true}',
    });
    const refused = await refusal(mended, "shell/hello");
    expect(reasonsOf(refused)).toStrictEqual([["nano", "unpackable"]]);
    expect(refused.message).toMatch(/-nano-1\.0\/share\/\.wh\.x has a name that layers reserve/);
    expect(await unfinished(mended)).toStrictEqual([]);
    mended.forget();
    expect(await refusal(mended, "shell/hello")).toStrictEqual(refused);
    expect(mended.started).toStrictEqual([]);
    await mended.pull("bashinteractive/coreutils/moreutils");
  });

  test("is had once the operator allows it", async () => {
    const names = "defective/leaky/licensed";
    const house = await fresh(onTestFinished);
    expect((await refusal(house, names)).detail).toHaveLength(3);
    const allowing = await restart(onTestFinished, house, {
      NIXPORT_NIXPKGS_CONFIG: '{"allowBroken":true,"permittedInsecurePackages":["leaky-1.0"]}',
      NIXPKGS_ALLOW_UNFREE: "1",
    });
    const { pin } = await allowing.pull(names);
    expect(pin).toMatch(/^path-[0-9a-f]{64}\+[0-9a-f]{16}$/);
    // What was remembered is remembered for that configuration only.
    const refusing = await restart(onTestFinished, allowing);
    expect((await refusal(refusing, names)).detail).toHaveLength(3);
    expect(startedIn(refusing)).toStrictEqual({ evaluations: 0, builds: 0 });
  });
});

describe("what is no fault of a package", limit, () => {
  const unfetched =
    /^what \/nix\/store\/\w+-source-1\.0\.drv is made of cannot be downloaded: unable to download 'http:\/\/127\.0\.0\.1:1\/source': .*\(7\).*; try again later$/;
  const killed = /^the host .*: a builder was killed, .*; try again later$/;
  const rows: readonly [name: string, reason: string, message: RegExp][] = [
    ["unfetched", "source-unreachable", unfetched],
    ["needs-unfetched", "source-unreachable", unfetched],
    ["killed", "host-failed", killed],
    ["killed-within", "host-failed", killed],
    ["roomless", "host-failed", /^the host .*: no space is left on its disk; try again later$/],
  ];
  for (const [name, reason, message] of rows) {
    // In a sandbox the builder is the first process, which no signal of its own kills.
    const skip = name === "killed" && hidesHost;
    const title = `makes ${name} UNAVAILABLE with the reason, logged and not remembered`;
    test(title, skipWhere(skip), async () => {
      const house = await fresh(onTestFinished);
      const refused = await refusal(house, name);
      expect([refused.status, refused.code], refused.message).toStrictEqual([503, "UNAVAILABLE"]);
      expect(refused.message).toMatch(message);
      expect(refused.detail.map((each) => each.reason as string)).toStrictEqual([reason]);
      const line = house.lines.find(({ msg }) => msg === "not realised");
      expect([line?.level, line?.kind]).toStrictEqual([50, reason]);
      house.forget();
      await refusal(house, name);
      expect(startedIn(house).builds).toBeGreaterThan(0);
    });
  }
});

describe("what is remembered of it", limit, () => {
  test("is for ever what the set says, so a later pull starts no process", async () => {
    const house = await fresh(onTestFinished);
    const names = "defective/elsewhere/hello/helo/leaky/licensed/nested";
    const first = await refusal(house, names);
    expect(first.detail).toHaveLength(6);
    expect(startedIn(house).evaluations).toBeGreaterThan(0);
    expect(await refusal(house, names)).toStrictEqual(first);
    const restarted = await restart(onTestFinished, house);
    expect(await refusal(restarted, names)).toStrictEqual(first);
    for (const { started } of [house, restarted]) expect(started).toStrictEqual([]);
  });

  test.for(["throwing", "aborting", "failing", "dependent"])(
    "is for a while that %s failed",
    async (name) => {
      const house = await fresh(onTestFinished);
      const first = await refusal(house, name);
      house.forget();
      expect(await refusal(house, name)).toStrictEqual(first);
      expect(house.started).toStrictEqual([]);
    },
  );

  test("is no failure that was not asked for its reason", async () => {
    const house = await fresh(onTestFinished);
    const names = Array.from({ length: 20 }, (_, n) => `thrown.t${n}`);
    const { detail } = await refusal(house, names.join("/"));
    const silent = detail.find(({ message = "" }) => !message.startsWith("reason"));
    assert(silent !== undefined, JSON.stringify(detail));
    expect((await refusal(house, silent.package)).message).toMatch(
      /cannot be evaluated: reason \d+$/,
    );
  });

  test("is nothing of a failure where NIXPORT_FAILURE_MEMORY is 0", async () => {
    const house = await fresh(onTestFinished, { NIXPORT_FAILURE_MEMORY: "0" });
    for (const again of [false, true]) {
      await refusal(house, "throwing");
      expect(startedIn(house).evaluations, `again: ${again}`).toBeGreaterThan(0);
      await refusal(house, "failing");
      expect(startedIn(house).builds, `again: ${again}`).toBeGreaterThan(0);
    }
  });

  test("is nothing of a time-out", async () => {
    const house = await fresh(onTestFinished, { NIX_TIMEOUT: "1" });
    await refusal(house, "slow");
    house.forget();
    expect(reasonsOf(await refusal(house, "slow"))).toStrictEqual([["slow", "build-timed-out"]]);
    expect(startedIn(house).builds).toBeGreaterThan(0);
  });

  test("is no manifest and no lookup that leads to a missing record", async () => {
    const house = await fresh(onTestFinished);
    await refusal(house, "failing");
    const storage = join(house.statePath, "origin");
    await expect(access(join(storage, "manifests"))).rejects.toThrow();
    const lookups = await readdir(join(storage, "lookups"), { recursive: true });
    expect(
      lookups.some((each) => each.endsWith("failing")),
      String(lookups),
    ).toBe(false);
  });
});
