// The ways to have Nix on a Debian whose Nix is newer than this machine's: each starts the origin as
// its user would, and pulls an image that was built there.

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Ending } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { debianRoot, missingForRoots, SUITES, USER } from "./debian-root.ts";
import { type As, CHECKOUT, type Machine, startMachine } from "./machine.ts";
import { assertPulls, plantSmallSet } from "./small-set.ts";

const SET = "/srv/set";
const NODE = `${CHECKOUT}/node_modules/.bin/node`;
const ORIGIN = `exec ${NODE} ${CHECKOUT}/origin/command/origin.ts`;
const LISTENING = /^origin at (http:\S+),/;
const ROOT_DEADLINE_MS = 8 * 60_000;

const HOME = `/home/${USER.name}`;
/** No other part is there, and nothing that is built here is in a cache. */
const SETTINGS = { PORT: "0", EDGE_PORT: "1", NIXPORT_LOG_LEVEL: "error", NIXERY_PKGS_PATH: SET };
const asRoot = { env: { ...SETTINGS, HOME: "/root", NIXPORT_STATE: "/root/state" } };
const asUser = { user: USER.name, env: { ...SETTINGS, HOME, NIXPORT_STATE: `${HOME}/state` } };

/** Makes /nix as root's Nix leaves it, with something in it. */
const ROOT_BUILDS = `nix-build --no-out-link -A hello ${SET} >&2 || exit 1`;
const COMMIT_SET = `cd ${SET}; git init -q; git add .
git -c user.name=a -c user.email=a@example.org commit -qm set`;
const OWN_STORE = `install --directory --owner ${USER.name} /nix /nix/store /nix/var /nix/var/nix`;
const SUDO_WITHOUT_PASSWORD = `echo '${USER.name} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ann`;
const SUDO_WITH_PASSWORD = `echo '${USER.name} ALL=(ALL) ALL' >/etc/sudoers.d/ann`;
const DAEMON =
  "exec nix-daemon 2>&1 & until [ -S /nix/var/nix/daemon-socket/socket ]; do :; done; echo up; wait";

describe.for(SUITES)(
  "on Debian %s",
  {
    ...skipWhere(missingForRoots()),
    timeout: ROOT_DEADLINE_MS,
  },
  (suite) => {
    let root = "";
    beforeAll(async () => {
      root = await debianRoot(suite);
    }, ROOT_DEADLINE_MS);

    async function machine(onEnd: Ending, setUp = "", sandbox = true): Promise<Machine> {
      const started = await startMachine(onEnd, { root });
      await plantSmallSet(join(started.files, SET));
      const nixConf = `sandbox = ${sandbox}\nsandbox-fallback = false\nsubstituters =`;
      const script = `mkdir -p /etc/nix; echo '${nixConf}' >/etc/nix/nix.conf\n${setUp}`;
      const { code, stderr } = await started.run(script, { env: { HOME: "/root" } });
      expect(code, stderr).toBe(0);
      return started;
    }

    async function assertServes(on: Machine, as: As): Promise<void> {
      const { match, stop } = await on.start(ORIGIN, LISTENING, as);
      await assertPulls(match[1] ?? "");
      await stop();
    }

    test("root builds in the sandbox", async () => {
      await assertServes(await machine(onTestFinished), asRoot);
    });

    test("root in a container builds without build users", async () => {
      const gone = "rm /usr/sbin/useradd; sed -i '/^nixbld/d' /etc/group /etc/passwd";
      await assertServes(await machine(onTestFinished, gone, false), asRoot);
    });

    const mended: readonly (readonly [what: string, setUp: string])[] = [
      ["is made by sudo where there is none", SUDO_WITHOUT_PASSWORD],
      [
        "is made whole by sudo where root has begun it",
        `${SUDO_WITHOUT_PASSWORD}; mkdir -p /nix/store/.links`,
      ],
      [
        "is made whole where the user has it",
        `install --directory --owner ${USER.name} /nix /nix/store`,
      ],
      ["is used as it is where it is whole", OWN_STORE],
    ];
    test.for(mended)("a user's own /nix %s", async ([, setUp]) => {
      const on = await machine(onTestFinished, setUp, false);
      await assertServes(on, asUser);
      expect(existsSync(join(on.files, HOME, ".local/share/nix/root"))).toBe(false);
    });

    const byHand: readonly (readonly [what: string, setUp: string, prefix: string])[] = [
      ["without sudo", "rm /usr/bin/sudo", ""],
      ["whose sudo asks for a password", SUDO_WITH_PASSWORD, "sudo "],
    ];
    test.for(byHand)("a user %s is told all that root must do, once", async ([, setUp, prefix]) => {
      const on = await machine(onTestFinished, `rm /usr/bin/git; ${setUp}`);
      const env = { ...asUser.env, NIXERY_PKGS_REPO: "https://example.org/set.git" };
      const { code, stderr } = await on.run(ORIGIN, { ...asUser, env });
      expect(code).toBe(1);
      const lines = stderr.split("\n").filter((line) => line.startsWith("  "));
      const apt = "apt-get -qq -o DPkg::Lock::Timeout=300";
      expect(lines).toStrictEqual([
        `  ${prefix}${apt} update`,
        `  ${prefix}${apt} install --yes --no-install-recommends git`,
        `  ${prefix}install --directory --owner ${USER.id} /nix /nix/store /nix/var /nix/var/nix`,
        `  ${prefix}chown --recursive ${USER.id} /nix`,
      ]);
      expect(stderr).not.toMatch(/not-started/);
    });

    test("the commands that a user is told do what is needed", async () => {
      const on = await machine(onTestFinished, "rm /usr/bin/sudo", false);
      const told = await on.run(ORIGIN, asUser);
      const commands = told.stderr.split("\n").filter((line) => line.startsWith("  "));
      expect(await on.run(commands.join("\n"))).toStrictEqual({ code: 0, stdout: "", stderr: "" });
      await assertServes(on, asUser);
    });

    // Of a repository, since Nix fetches into its cache folder.
    for (const home of ["/nonexistent", undefined]) {
      test(`a service works with HOME ${home ?? "unset"}`, async () => {
        const { HOME: _, ...kept } = asUser.env;
        const source = { NIXERY_PKGS_PATH: "", NIXERY_PKGS_REPO: `file://${SET}` };
        const env = { ...kept, ...source, ...(home !== undefined && { HOME: home }) };
        const gone = `usermod --home /nonexistent ${USER.name}`;
        const owned = `chown --recursive ${USER.name} ${SET}`;
        const on = await machine(
          onTestFinished,
          `${gone}; ${OWN_STORE}; ${COMMIT_SET}; ${owned}`,
          false,
        );
        await assertServes(on, { ...asUser, env });
      });
    }

    test("an untrusted user of a daemon builds in its sandbox", async () => {
      const on = await machine(onTestFinished, `usermod --append --groups nix-users ${USER.name}`);
      await on.start(DAEMON, /^up$/, asRoot);
      await assertServes(on, asUser);
      const { stdout } = await on.run(
        "nix store info --json --extra-experimental-features nix-command",
        asUser,
      );
      const { url, trusted } = JSON.parse(stdout);
      // 2.26 says 0 where newer ones say false.
      expect([url, Boolean(trusted)]).toStrictEqual(["daemon", false]);
    });

    test("a user whom the daemon does not serve is told the group", async () => {
      const socket = "install --directory --mode 770 --group nix-users /nix/var/nix/daemon-socket";
      const on = await machine(onTestFinished, `${ROOT_BUILDS}; ${socket}`);
      await on.start(DAEMON, /^up$/, asRoot);
      const { code, stderr } = await on.run(ORIGIN, asUser);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^ {2}usermod --append --groups nix-users ann$/m);
    });

    test("a user of a store that is root's, without a daemon, is told what there is to do", async () => {
      const on = await machine(onTestFinished, `${SUDO_WITHOUT_PASSWORD}; ${ROOT_BUILDS}`);
      const { code, stderr } = await on.run(ORIGIN, asUser);
      expect(code).toBe(1);
      expect(stderr).toMatch(/\/nix\/store belongs to the user 0, and no Nix daemon answers/);
    });

    test("a store of its own is packed from where it is", async () => {
      const env = { ...asRoot.env, NIX_REMOTE: "local?root=/srv/own" };
      const on = await machine(onTestFinished);
      await assertServes(on, { env });
      expect(existsSync(join(on.files, "nix/store"))).toBe(false);
    });

    test("git is installed where a repository has the packages", async () => {
      const on = await machine(onTestFinished, `${COMMIT_SET}; mv /usr/bin/git /usr/bin/git.away`);
      await writeFile(
        join(on.files, "usr/bin/apt-get"),
        '#!/bin/sh\n[ "$4 $7" = "install git" ] && mv /usr/bin/git.away /usr/bin/git\n',
      );
      const env = { ...asRoot.env, NIXERY_PKGS_PATH: "", NIXERY_PKGS_REPO: `file://${SET}` };
      await assertServes(on, { env });
    });
  },
);
