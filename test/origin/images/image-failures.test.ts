// Packages that cannot be had, asked for by name: what the client is told, what is done for it once,
// and what is remembered.

import assert from "node:assert/strict";
import { access, readdir } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, type TestContext, test } from "node:test";
import type { EnvironmentVariables } from "../../../origin/configuration/config.ts";
import type { PackageDetail } from "../../../origin/words/failed-package.ts";
import { plantFailingSet } from "../failing-set.ts";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, REPOSITORY_PREFIX, startHouse } from "../house.ts";

const limit = { timeout: 180_000 };
const atEnd = endOfFile();
let setPath: string;

before(async () => {
  setPath = await plantFailingSet(atEnd);
});

async function fresh(t: TestContext, variables: EnvironmentVariables = {}): Promise<House> {
  return startHouse(t, setPath, await temporaryDirectory(t), variables);
}

async function restart(
  t: TestContext,
  house: House,
  variables: EnvironmentVariables = {},
): Promise<House> {
  await house.origin.close();
  return startHouse(t, setPath, house.statePath, variables);
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
  return names.filter((name) => name.includes("/"));
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
    ["nested", /^nested is a set, not a package \(did you mean nested\.Other, nested\.inner\?\)$/],
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
  for (const [name, message] of rows) {
    test(`makes ${name} MANIFEST_UNKNOWN, and says why`, async (t) => {
      const refused = await refusal(await fresh(t), name);
      assert.equal(refused.status, 404);
      assert.equal(refused.code, "MANIFEST_UNKNOWN");
      assert.match(refused.message, message);
      const said = JSON.stringify(refused);
      for (const place of [setPath, "/tmp/"]) assert(!said.includes(place), said);
    });
  }

  test("has a builder that ran out of time, and says after how long", async (t) => {
    const refused = await refusal(await fresh(t, { NIX_TIMEOUT: "1" }), "slow");
    assert.equal(refused.code, "MANIFEST_UNKNOWN");
    assert.deepEqual(reasonsOf(refused), [["slow", "build-timed-out"]]);
    assert.match(refused.message, /-slow-1\.0\.drv was stopped after 1 s/);
  });

  test("is named with every other one whose name leads nowhere, and nothing is built", async (t) => {
    const house = await fresh(t);
    const names = "aborting/defective/failing/hello/helo/leaky/licensed/throwing";
    assert.deepEqual(reasonsOf(await refusal(house, names)), [
      ["aborting", "evaluation-failed"],
      ["defective", "broken"],
      ["helo", "missing"],
      ["leaky", "insecure"],
      ["licensed", "unfree"],
      ["throwing", "evaluation-failed"],
    ]);
    assert.equal(startedIn(house).builds, 0);
  });

  test("is named with every other one that cannot be built", async (t) => {
    const house = await fresh(t);
    const refused = await refusal(house, "dependent/failing/failing-too/hello");
    assert.deepEqual(reasonsOf(refused), [
      ["dependent", "build-failed"],
      ["failing", "build-failed"],
      ["failing-too", "build-failed"],
    ]);
    assert.match(refused.message, /exit code 7.*exit code 8/s);
  });

  test("keeps nobody from the others, whose records are kept", async (t) => {
    const house = await fresh(t);
    assert.equal((await refusal(house, "failing/hello")).status, 404);
    assert(house.packed().length > 0);
    house.forget();
    await house.pull("hello");
    assert.deepEqual(house.started, []);
    assert.deepEqual(house.packed(), []);
  });

  test("is named alone of those that shell stands for", async (t) => {
    const house = await fresh(t);
    assert.deepEqual(reasonsOf(await refusal(house, "shell/hello")), [
      ["moreutils", "build-failed"],
    ]);
    const mended = await restart(t, house, { NIXPORT_NIXPKGS_CONFIG: '{"mended":true}' });
    const refused = await refusal(mended, "shell/hello");
    assert.deepEqual(reasonsOf(refused), [["nano", "unpackable"]]);
    assert.match(refused.message, /-nano-1\.0\/share\/\.wh\.x has a name that layers reserve/);
    assert.deepEqual(await unfinished(mended), []);
    mended.forget();
    assert.deepEqual(await refusal(mended, "shell/hello"), refused);
    assert.deepEqual(mended.started, []);
    await mended.pull("bashinteractive/coreutils/moreutils");
  });

  test("is had once the operator allows it", async (t) => {
    const names = "defective/leaky/licensed";
    const house = await fresh(t);
    assert.equal((await refusal(house, names)).detail.length, 3);
    const allowing = await restart(t, house, {
      NIXPORT_NIXPKGS_CONFIG: '{"allowBroken":true,"permittedInsecurePackages":["leaky-1.0"]}',
      NIXPKGS_ALLOW_UNFREE: "1",
    });
    const { pin } = await allowing.pull(names);
    assert.match(pin, /^path-[0-9a-f]{64}\+[0-9a-f]{16}$/);
    // What was remembered is remembered for that configuration only.
    const refusing = await restart(t, allowing);
    assert.equal((await refusal(refusing, names)).detail.length, 3);
    assert.deepEqual(startedIn(refusing), { evaluations: 0, builds: 0 });
  });
});

describe("what is no fault of a package", limit, () => {
  const unfetched =
    /^what \/nix\/store\/\w+-source-1\.0\.drv is made of cannot be downloaded: unable to download 'http:\/\/127\.0\.0\.1:1\/source': .*\(7\).*; try again later$/;
  const rows: readonly [name: string, reason: string, message: RegExp][] = [
    ["unfetched", "source-unreachable", unfetched],
    ["needs-unfetched", "source-unreachable", unfetched],
    ["killed", "host-failed", /^the host .*: a builder was killed, .*; try again later$/],
    ["roomless", "host-failed", /^the host .*: no space is left on its disk; try again later$/],
  ];
  for (const [name, reason, message] of rows) {
    test(`makes ${name} UNAVAILABLE with the reason, logged and not remembered`, async (t) => {
      const house = await fresh(t);
      const refused = await refusal(house, name);
      assert.deepEqual([refused.status, refused.code], [503, "UNAVAILABLE"], refused.message);
      assert.match(refused.message, message);
      assert.deepEqual(
        refused.detail.map((each) => each.reason as string),
        [reason],
      );
      const line = house.lines.find(({ msg }) => msg === "not realised");
      assert.deepEqual([line?.level, line?.kind], [50, reason]);
      house.forget();
      await refusal(house, name);
      assert(startedIn(house).builds > 0);
    });
  }
});

describe("what is remembered of it", limit, () => {
  test("is for ever what the set says, so a later pull starts no process", async (t) => {
    const house = await fresh(t);
    const names = "defective/elsewhere/hello/helo/leaky/licensed/nested";
    const first = await refusal(house, names);
    assert.equal(first.detail.length, 6);
    assert(startedIn(house).evaluations > 0);
    assert.deepEqual(await refusal(house, names), first);
    const restarted = await restart(t, house);
    assert.deepEqual(await refusal(restarted, names), first);
    for (const { started } of [house, restarted]) assert.deepEqual(started, []);
  });

  for (const name of ["throwing", "aborting", "failing", "dependent"]) {
    test(`is for a while that ${name} failed`, async (t) => {
      const house = await fresh(t);
      const first = await refusal(house, name);
      house.forget();
      assert.deepEqual(await refusal(house, name), first);
      assert.deepEqual(house.started, []);
    });
  }

  test("is no failure that was not asked for its reason", async (t) => {
    const house = await fresh(t);
    const names = Array.from({ length: 20 }, (_, n) => `thrown.t${n}`);
    const { detail } = await refusal(house, names.join("/"));
    const silent = detail.find(({ message = "" }) => !message.startsWith("reason"));
    assert(silent !== undefined, JSON.stringify(detail));
    assert.match(
      (await refusal(house, silent.package)).message,
      /cannot be evaluated: reason \d+$/,
    );
  });

  test("is nothing of a failure where NIXPORT_FAILURE_MEMORY is 0", async (t) => {
    const house = await fresh(t, { NIXPORT_FAILURE_MEMORY: "0" });
    for (const again of [false, true]) {
      await refusal(house, "throwing");
      assert(startedIn(house).evaluations > 0, `again: ${again}`);
      await refusal(house, "failing");
      assert(startedIn(house).builds > 0, `again: ${again}`);
    }
  });

  test("is nothing of a time-out", async (t) => {
    const house = await fresh(t, { NIX_TIMEOUT: "1" });
    await refusal(house, "slow");
    house.forget();
    assert.deepEqual(reasonsOf(await refusal(house, "slow")), [["slow", "build-timed-out"]]);
    assert(startedIn(house).builds > 0);
  });

  test("is no manifest and no lookup that leads to a missing record", async (t) => {
    const house = await fresh(t);
    await refusal(house, "failing");
    const storage = join(house.statePath, "origin");
    await assert.rejects(access(join(storage, "manifests")));
    const lookups = await readdir(join(storage, "lookups"), { recursive: true });
    assert(!lookups.some((each) => each.endsWith("failing")), String(lookups));
  });
});
