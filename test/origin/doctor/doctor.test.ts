// `nixport doctor` on machines on which something is right or wrong: real Nix, and one in front of it
// that fails as a test says.

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { State } from "../../../origin/doctor/finding.ts";
import { ended, start } from "../command/command.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
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
  test("finds nothing wrong with a machine that serves a local set", async () => {
    const examined = await doctor(onTestFinished, {
      NIXERY_PKGS_PATH: await plantSmallSet(onTestFinished),
    });
    const wrong = examined.findings.filter(({ state }) => state === "failed");
    expect(wrong).toStrictEqual([]);
    expect(examined.find("nix", "found").saw).toMatch(/^Nix \d+\.\d+.*, \/.*\/nix$/);
    expect(examined.find("nix", "version").saw).toMatch(
      /; the package source needs Nix 2\.8 or newer$/,
    );
    expect(examined.find("source", "which").saw).toMatch(/^the package set at /);
    expect(examined.find("source", "answers").saw).toMatch(/^latest is path-/);
    expect(examined.find("source", "loads").saw).toBe("cacert is nss-cacert");
    expect(examined.find("caches", "substituter").saw).toMatch(/^nix.conf names no binary cache/);
    expect(examined.find("edge", "answers").state).toBe("not-checked");
  });

  test("changes nothing", async () => {
    const state = join(await temporaryDirectory(onTestFinished), "state");
    const variables = {
      NIXERY_PKGS_PATH: await plantSmallSet(onTestFinished),
      NIXPORT_STATE: state,
    };
    const { find } = await doctor(onTestFinished, variables);
    expect(find("storage", "folder").saw).toBe("not there yet, and can be made");
    expect(existsSync(state)).toBe(false);
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
  test.for(NIXES)("sees $title", async ({ script, env, check, state, saw, toDo }) => {
    const path = `${await plantNix(onTestFinished, script)}:${PATH}`;
    const set = await plantSmallSet(onTestFinished);
    const { find } = await doctor(onTestFinished, { NIXERY_PKGS_PATH: set, ...env, PATH: path });
    const found = find("nix", check);
    expect([found.state, saw.exec(found.saw)?.input], found.saw).toStrictEqual([state, found.saw]);
    if (toDo !== undefined) expect(found.toDo ?? "").toMatch(toDo);
  });

  test("works with no Nix at all", async (t) => {
    if (existsSync("/nix/var/nix/profiles/default/bin/nix")) return t.skip("Nix is in its profile");
    const set = await plantSmallSet(onTestFinished);
    const { find } = await doctor(onTestFinished, {
      NIXERY_PKGS_PATH: set,
      PATH: await temporaryDirectory(onTestFinished),
    });
    expect(find("nix", "found").state).toBe("failed");
    expect(find("nix", "found").toDo ?? "").toMatch(/install Nix/);
    for (const check of ["version", "store", "trusted", "sandbox", "jobs"]) {
      expect(find("nix", check).state, check).toBe("not-checked");
    }
    expect(find("source", "loads").state).toBe("not-checked");
    expect(find("storage", "folder").state).toBe("ok");
  });

  test("asks a store that does not answer for nothing more", async () => {
    const refused = "echo 'Store URL: daemon'; echo refused >&2; exit 1";
    const path = `${await plantNix(onTestFinished, nixOf("2.31.2", refused))}:${PATH}`;
    const { find } = await doctor(onTestFinished, {
      NIXERY_PKGS_PATH: await plantSmallSet(onTestFinished),
      PATH: path,
    });
    expect(find("nix", "trusted").state).toBe("not-checked");
    expect(find("source", "loads").state).toBe("not-checked");
  });

  test("sees where the files of a store below another root are", async () => {
    const root = await temporaryDirectory(onTestFinished);
    const set = await plantSmallSet(onTestFinished);
    const { find } = await doctor(onTestFinished, {
      NIXERY_PKGS_PATH: set,
      NIX_REMOTE: `local?root=${root}`,
    });
    const { state, saw } = find("nix", "store");
    expect([state, saw]).toStrictEqual(["ok", `single-user, local, at ${root}/nix/store`]);
  });

  test("sees a store that cannot be used, of a Nix that is there", async () => {
    const set = await plantSmallSet(onTestFinished);
    const remote = { NIX_REMOTE: "unix:///nowhere/socket" };
    const { find } = await doctor(onTestFinished, { NIXERY_PKGS_PATH: set, ...remote });
    expect(find("nix", "found").state).toBe("ok");
    expect(find("nix", "version").state).toBe("ok");
    const { state, saw, toDo } = find("nix", "store");
    expect(state).toBe("failed");
    // Some versions find out when they open the store, others when they are asked for something.
    expect(saw).toMatch(
      /^(?:Nix cannot use its store|the store does not answer): .*nowhere\/socket/,
    );
    expect(toDo ?? "").toMatch(/start the daemon/);
    expect(find("source", "loads").state).toBe("not-checked");
  });

  test("sees a store whose paths no image can hold", async () => {
    const set = await plantSmallSet(onTestFinished);
    const { find } = await doctor(onTestFinished, {
      NIXERY_PKGS_PATH: set,
      NIX_STORE_DIR: "/elsewhere/store",
    });
    expect(find("nix", "version").state).toBe("ok");
    const { state, saw } = find("nix", "store");
    expect(state).toBe("failed");
    expect(saw).toMatch(/^Nix keeps its store at \/elsewhere\/store/);
    expect(find("nix", "jobs").state).toBe("not-checked");
  });

  test("sees what nix.conf says that keeps everything from being built", async () => {
    const { find } = await doctor(onTestFinished, {
      NIXERY_PKGS_PATH: await plantSmallSet(onTestFinished),
      NIX_CONFIG: "max-jobs = 0\nsubstituters =\nbuilders =",
    });
    const { state, saw } = find("nix", "jobs");
    const expected = "max-jobs 0, no other builders: what no cache has cannot be built";
    expect([state, saw]).toStrictEqual(["warning", expected]);
  });

  test("shows each problem of a wrong configuration, and looks at the rest", async () => {
    const secret = "geheim";
    const { findings, find, stdout } = await doctor(onTestFinished, {
      ...{ PORT: "x", NIXPORT_HOLD: "y", NIXPORT_SECRET: secret },
      NIXERY_PKGS_REPO: `https://user:${secret}@host.example/x`,
    });
    const problems = findings.filter(({ group }) => group === "configuration");
    expect(problems.every(({ state }) => state === "failed")).toBe(true);
    for (const name of ["PORT is", "NIXPORT_HOLD is", "NIXPORT_SECRET: every key"]) {
      expect(
        problems.some(({ saw }) => saw.startsWith(name)),
        name,
      ).toBe(true);
    }
    expect(find("source", "which").state).toBe("not-checked");
    expect(find("nix", "found").state).toBe("ok");
    expect(stdout).not.toContain(secret);
  });

  const sources: readonly [title: string, plant: (onEnd: Ending) => Promise<string>, RegExp][] = [
    ["a set that is not there", async () => "/nowhere/set", /cannot be read/],
    ["a set without cacert", (t) => plantText(t, "{ ... }: { }"), /^cacert, which every image/],
    ["a set that does not load", (t) => plantText(t, "{ ... }: abort ''no''"), /^cacert.*no/],
  ];
  test.for(sources)("sees %s", async ([, plant, saw]) => {
    const { findings } = await doctor(onTestFinished, {
      NIXERY_PKGS_PATH: await plant(onTestFinished),
    });
    const failed = findings.filter(({ group, state }) => group === "source" && state === "failed");
    expect(failed, JSON.stringify(failed)).toHaveLength(1);
    expect(failed[0]?.saw ?? "").toMatch(saw);
  });

  test("gives a page for people, and ends with 1 where something failed", async () => {
    const env = {
      NIXERY_PKGS_PATH: "/nowhere/set",
      NIXPORT_STATE: await temporaryDirectory(onTestFinished),
    };
    const { code, stdout, stderr } = await ended(start(["doctor"], env));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^nixport: \d+ checks? failed\n$/);
    const headings = ["Configuration", "Nix", "Source", "Caches", "Storage", "Edge", "Limits"];
    expect(stdout.match(/^\S+$/gm)).toStrictEqual(headings);
    expect(stdout).toMatch(/^ {2}failed +\S+ +.*\n +→ /m);
    expect(stdout).toMatch(/\n\d+ failed, \d+ warning, \d+ ok, \d+ not checked\n$/);
    expect(stdout, "no colours where there is no terminal").not.toContain("\x1b");
  });

  test("refuses what it does not know with 2", async () => {
    const { code, stderr } = await ended(start(["doctor", "--jsn"]));
    expect(code).toBe(2);
    expect(stderr).toMatch(/Unknown option '--jsn'/);
  });
});

async function plantText(onEnd: Ending, text: string): Promise<string> {
  const path = join(await temporaryDirectory(onEnd), "set");
  await mkdir(path);
  await writeFile(join(path, "default.nix"), text);
  return path;
}
