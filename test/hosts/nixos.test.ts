// A machine laid out as NixOS is, where npm's Node and workerd do not start: the origin runs on the
// machine's own Node, as a user of its daemon.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../free-port.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { debianRoot, missingForRoots, USER } from "./debian-root.ts";
import { CHECKOUT, type Machine, startMachine } from "./machine.ts";
import { layOutNixos } from "./nixos-root.ts";
import { assertPulls, plantSmallSet } from "./small-set.ts";

const SET = "/srv/set";
const SETUP = `exec /run/current-system/sw/bin/node ${CHECKOUT}/origin/command/setup.mjs`;
const ROOT_DEADLINE_MS = 8 * 60_000;
const HOME = `/home/${USER.name}`;
const env = {
  ...{ PORT: "0", EDGE_PORT: "1", NIXPORT_LOG_LEVEL: "error" },
  ...{ HOME, NIXERY_PKGS_PATH: SET, NIXPORT_STATE: `${HOME}/state` },
};
const asUser = { user: USER.name, env };
const DAEMON =
  "/run/current-system/sw/bin/nix-daemon 2>&1 & until [ -S /nix/var/nix/daemon-socket/socket ]; do :; done; echo up; wait";
/** As NixOS mounts it: only its daemon may write there. */
const READ_ONLY_STORE = `store=$root/nix/store
mount --bind "$store" "$store"
mount -o remount,bind,ro "$store"`;

const ending = endOfFile();

describe("on a machine like NixOS", {
  ...skipWhere(missingForRoots()),
  timeout: ROOT_DEADLINE_MS,
}, () => {
  let root = "";
  beforeAll(async () => {
    root = await temporaryDirectory(ending);
    await layOutNixos(await debianRoot("trixie"), root);
  }, ROOT_DEADLINE_MS);

  async function machine(onEnd: Ending): Promise<Machine> {
    const started = await startMachine(onEnd, { root, mounts: READ_ONLY_STORE });
    await mkdir(join(started.files, SET));
    await plantSmallSet(join(started.files, SET));
    await started.start(DAEMON, /^up$/);
    return started;
  }

  test("the Node among npm's packages does not start there", async () => {
    const { run } = await machine(onTestFinished);
    expect((await run(`${CHECKOUT}/node_modules/.bin/node --version`)).code).not.toBe(0);
  });

  test("npm run origin serves images, on the machine's Node", async () => {
    const on = await machine(onTestFinished);
    const ready = /^origin at (http:\S+),/;
    const { match } = await on.start(`${SETUP} origin/command/origin.ts`, ready, asUser);
    await assertPulls(match[1] ?? "");
  });

  test("npm start serves images without an edge, and says why there is none", async () => {
    const on = await machine(onTestFinished);
    const ready =
      /^nixport ready: origin (http:\S+); try: docker pull \S+; no edge: workerd does not start on this machine \(it or its loader is missing\)/;
    const port = String(await freePort());
    const as = { ...asUser, env: { ...env, PORT: port } };
    const { match } = await on.start(`${SETUP} origin/command/start.ts`, ready, as);
    await assertPulls(match[1] ?? "");
  });
});
