// `nixport doctor` on machines on which something is right or wrong: real Nix, and one in front of it
// that fails as a test says.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { State } from "../../../origin/doctor/finding.ts";
import { ended, start } from "../command/command.ts";
import { temporaryDirectory } from "../fixture.ts";
import { doctor, plantNix, plantSmallSet } from "./fixture.ts";

const PATH = process.env.PATH ?? "";
const limit = { timeout: 60_000 };

/** A Nix that has answers to what it is asked; `store` is what `nix store info` does. */
const nixOf = (version: string, store: string) => `case "$*" in
  --version) echo "nix (Nix) ${version}" ;;
  "store info"*|"store ping"*) ${store} ;;
  *) echo "error: no such command" >&2; exit 1 ;;
esac`;
const LOCAL = 'echo "Store URL: local"; echo "Version: x"; echo "Trusted: 1"';

describe("nixport doctor", limit, () => {
  test("finds nothing wrong with a machine that serves a local set", async (t) => {
    const examined = await doctor(t, { NIXERY_PKGS_PATH: await plantSmallSet(t) });
    const wrong = examined.findings.filter(({ state }) => state === "failed");
    assert.deepEqual(wrong, []);
    assert.match(examined.find("nix", "found").saw, /^Nix \d+\.\d+.*, \/.*\/nix$/);
    assert.match(
      examined.find("nix", "version").saw,
      /; the package source needs Nix 2\.8 or newer$/,
    );
    assert.match(examined.find("source", "which").saw, /^the package set at /);
    assert.match(examined.find("source", "answers").saw, /^latest is path-/);
    assert.equal(examined.find("source", "loads").saw, "cacert is nss-cacert");
    assert.match(examined.find("caches", "substituter").saw, /^nix.conf names no binary cache/);
    assert.equal(examined.find("edge", "answers").state, "not-checked");
  });

  test("changes nothing", async (t) => {
    const state = join(await temporaryDirectory(t), "state");
    const variables = { NIXERY_PKGS_PATH: await plantSmallSet(t), NIXPORT_STATE: state };
    const { find } = await doctor(t, variables);
    assert.equal(find("storage", "folder").saw, "not there yet, and can be made");
    assert(!existsSync(state));
  });

  interface NixRow {
    readonly title: string;
    readonly script: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly check: string;
    readonly state: State;
    readonly saw: RegExp;
    readonly toDo?: RegExp;
  }
  const NIXES: readonly NixRow[] = [
    {
      title: "a Nix that is too old for nixport",
      script: nixOf("2.3.16", LOCAL),
      ...{
        check: "version",
        state: "failed",
        saw: /^2\.3\.16; the package source needs Nix 2\.8 or newer$/,
      },
      toDo: /upgrade Nix/,
    },
    {
      title: "a Nix that does not run",
      script: "echo broken >&2; exit 1",
      ...{ check: "found", state: "failed", saw: /^nix --version answers .*broken/ },
      toDo: /nix --version by hand/,
    },
    {
      title: "a daemon that refuses",
      script: nixOf(
        "2.31.2",
        "echo 'Store URL: daemon'; echo \"error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused\" >&2; exit 1",
      ),
      ...{ check: "store", state: "failed", saw: /^the store does not answer: cannot connect to/ },
      toDo: /start the daemon/,
    },
    {
      title: "a daemon",
      script: nixOf("2.31.2", "echo 'Store URL: daemon'; echo 'Trusted: 0'"),
      ...{ check: "store", state: "ok", saw: /^by its daemon, daemon, at \/nix\/store$/ },
    },
    {
      title: "a user whom the daemon does not trust",
      script: nixOf("2.31.2", "echo 'Store URL: daemon'; echo 'Trusted: 0'"),
      ...{ check: "trusted", state: "ok", saw: /does not trust this user/ },
    },
    {
      title: "a daemon of a version that does not say whom it trusts",
      script: nixOf("2.8.0", "echo 'Store URL: daemon' >&2"),
      ...{ check: "trusted", state: "not-checked", saw: /^this version of Nix does not say$/ },
    },
    {
      title: "that Nix does not say what its settings are",
      script: nixOf("2.31.2", LOCAL),
      ...{ check: "jobs", state: "not-checked", saw: /nix\.conf/ },
    },
  ];
  for (const { title, script, env, check, state, saw, toDo } of NIXES) {
    test(`sees ${title}`, async (t) => {
      const path = `${await plantNix(t, script)}:${PATH}`;
      const set = await plantSmallSet(t);
      const { find } = await doctor(t, { NIXERY_PKGS_PATH: set, ...env, PATH: path });
      const found = find("nix", check);
      assert.deepEqual([found.state, saw.exec(found.saw)?.input], [state, found.saw], found.saw);
      if (toDo !== undefined) assert.match(found.toDo ?? "", toDo);
    });
  }

  test("works with no Nix at all", async (t) => {
    if (existsSync("/nix/var/nix/profiles/default/bin/nix")) return t.skip("Nix is in its profile");
    const set = await plantSmallSet(t);
    const { find } = await doctor(t, { NIXERY_PKGS_PATH: set, PATH: await temporaryDirectory(t) });
    assert.equal(find("nix", "found").state, "failed");
    assert.match(find("nix", "found").toDo ?? "", /install Nix/);
    for (const check of ["version", "store", "trusted", "sandbox", "jobs"]) {
      assert.equal(find("nix", check).state, "not-checked", check);
    }
    assert.equal(find("source", "loads").state, "not-checked");
    assert.equal(find("storage", "folder").state, "ok");
  });

  test("asks a store that does not answer for nothing more", async (t) => {
    const refused = "echo 'Store URL: daemon'; echo refused >&2; exit 1";
    const path = `${await plantNix(t, nixOf("2.31.2", refused))}:${PATH}`;
    const { find } = await doctor(t, { NIXERY_PKGS_PATH: await plantSmallSet(t), PATH: path });
    assert.equal(find("nix", "trusted").state, "not-checked");
    assert.equal(find("source", "loads").state, "not-checked");
  });

  test("sees where the files of a store below another root are", async (t) => {
    const root = await temporaryDirectory(t);
    const set = await plantSmallSet(t);
    const { find } = await doctor(t, { NIXERY_PKGS_PATH: set, NIX_REMOTE: `local?root=${root}` });
    const { state, saw } = find("nix", "store");
    assert.deepEqual([state, saw], ["ok", `single-user, local, at ${root}/nix/store`]);
  });

  test("sees a store that cannot be used, of a Nix that is there", async (t) => {
    const set = await plantSmallSet(t);
    const remote = { NIX_REMOTE: "unix:///nowhere/socket" };
    const { find } = await doctor(t, { NIXERY_PKGS_PATH: set, ...remote });
    assert.equal(find("nix", "found").state, "ok");
    assert.equal(find("nix", "version").state, "ok");
    const { state, saw, toDo } = find("nix", "store");
    assert.equal(state, "failed");
    // Some versions find out when they open the store, others when they are asked for something.
    assert.match(saw, /^(?:Nix cannot use its store|the store does not answer): .*nowhere\/socket/);
    assert.match(toDo ?? "", /start the daemon/);
    assert.equal(find("source", "loads").state, "not-checked");
  });

  test("sees a store whose paths no image can hold", async (t) => {
    const set = await plantSmallSet(t);
    const { find } = await doctor(t, { NIXERY_PKGS_PATH: set, NIX_STORE_DIR: "/elsewhere/store" });
    assert.equal(find("nix", "version").state, "ok");
    const { state, saw } = find("nix", "store");
    assert.equal(state, "failed");
    assert.match(saw, /^Nix keeps its store at \/elsewhere\/store/);
    assert.equal(find("nix", "jobs").state, "not-checked");
  });

  test("sees what nix.conf says that keeps everything from being built", async (t) => {
    const { find } = await doctor(t, {
      NIXERY_PKGS_PATH: await plantSmallSet(t),
      NIX_CONFIG: "max-jobs = 0\nsubstituters =\nbuilders =",
    });
    const { state, saw } = find("nix", "jobs");
    const expected = "max-jobs 0, no other builders: what no cache has cannot be built";
    assert.deepEqual([state, saw], ["warning", expected]);
  });

  test("shows each problem of a wrong configuration, and looks at the rest", async (t) => {
    const secret = "geheim";
    const { findings, find, stdout } = await doctor(t, {
      ...{ PORT: "x", NIXPORT_HOLD: "y", NIXPORT_SECRET: secret },
      NIXERY_PKGS_REPO: `https://user:${secret}@host.example/x`,
    });
    const problems = findings.filter(({ group }) => group === "configuration");
    assert(problems.every(({ state }) => state === "failed"));
    for (const name of ["PORT is", "NIXPORT_HOLD is", "NIXPORT_SECRET: every key"]) {
      assert(
        problems.some(({ saw }) => saw.startsWith(name)),
        name,
      );
    }
    assert.equal(find("source", "which").state, "not-checked");
    assert.equal(find("nix", "found").state, "ok");
    assert(!stdout.includes(secret));
  });

  const sources: readonly [title: string, plant: (t: TestContext) => Promise<string>, RegExp][] = [
    ["a set that is not there", async () => "/nowhere/set", /cannot be read/],
    ["a set without cacert", (t) => plantText(t, "{ ... }: { }"), /^cacert, which every image/],
    ["a set that does not load", (t) => plantText(t, "{ ... }: abort ''no''"), /^cacert.*no/],
  ];
  for (const [title, plant, saw] of sources) {
    test(`sees ${title}`, async (t) => {
      const { findings } = await doctor(t, { NIXERY_PKGS_PATH: await plant(t) });
      const failed = findings.filter(
        ({ group, state }) => group === "source" && state === "failed",
      );
      assert.equal(failed.length, 1, JSON.stringify(failed));
      assert.match(failed[0]?.saw ?? "", saw);
    });
  }

  test("gives a page for people, and ends with 1 where something failed", async (t) => {
    const env = { NIXERY_PKGS_PATH: "/nowhere/set", NIXPORT_STATE: await temporaryDirectory(t) };
    const { code, stdout, stderr } = await ended(start(["doctor"], env));
    assert.equal(code, 1);
    assert.match(stderr, /^nixport: \d+ checks? failed\n$/);
    const headings = ["Configuration", "Nix", "Source", "Caches", "Storage", "Edge", "Limits"];
    assert.deepEqual(stdout.match(/^\S+$/gm), headings);
    assert.match(stdout, /^ {2}failed +\S+ +.*\n +→ /m);
    assert.match(stdout, /\n\d+ failed, \d+ warning, \d+ ok, \d+ not checked\n$/);
    assert(!stdout.includes("\x1b"), "no colours where there is no terminal");
  });

  test("refuses what it does not know with 2", async () => {
    const { code, stderr } = await ended(start(["doctor", "--jsn"]));
    assert.equal(code, 2);
    assert.match(stderr, /Unknown option '--jsn'/);
  });
});

async function plantText(t: TestContext, text: string): Promise<string> {
  const path = join(await temporaryDirectory(t), "set");
  await mkdir(path);
  await writeFile(join(path, "default.nix"), text);
  return path;
}
