// The origin is killed where it hurts: in a build, after an answer, in a backfill. Nothing is lost,
// and no manifest names a blob that is not there.

import { spawnSync } from "node:child_process";
import { chmod, mkdtemp, open, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ended, start } from "../origin/command/command.ts";
import { descendantsOf, untilEnded } from "../origin/nix/fixture.ts";
import { hidesHost, SHELL_BUILDER } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { missingBlobs, type PulledManifest, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";
import { letThrough } from "./gate.ts";

let packages: string;
let gate: string;
let deployment: Deployment;
let origin: Part;

beforeAll(async () => {
  packages = await mkdtemp(join(tmpdir(), "nixport-set-"));
  gate = join(packages, "gate");
  await chmod(packages, 0o755);
  spawnSync("mkfifo", ["--mode=666", gate]);
});

afterAll(() => rm(packages, { recursive: true, force: true }));

beforeEach(async ({ task }) => {
  // The salt makes the store paths of every test its own, so that each is really built.
  const set = await writeSet(`${task.name} ${process.pid}`);
  deployment = await deploy({ packages: set, env: { NIXPORT_LOG_LEVEL: "debug" } });
  origin = await deployment.startOrigin();
});

afterEach(() => deployment?.close());

describe("an origin killed", skipWhere(hidesHost), () => {
  test("in the middle of a build builds again after its start", async () => {
    const refused = pullManifest(deployment.originUrl, "slow").catch((error: unknown) => error);
    // A writer can open the fifo only when the builder reads from it.
    const opened = await open(gate, "w");
    const started = await descendantsOf(origin.pid);
    expect(started.length, "Nix and its builder at least").toBeGreaterThan(1);
    await origin.stop("SIGKILL");
    assert((await refused) instanceof Error);
    for (const pid of started) await untilEnded(pid);
    await opened.close();

    origin = await deployment.startOrigin();
    const again = pullManifest(deployment.originUrl, "slow");
    await letThrough(gate, again);
    await assertWhole(deployment.originUrl, await again);
  });

  test("after an answer gives the edge the image after its start", async () => {
    const manifest = await pullManifest(deployment.originUrl, "one/two");
    await origin.stop("SIGKILL");
    await deployment.startEdge();
    origin = await deployment.startOrigin();
    await origin.waitFor(({ msg }) => msg === "backfilled");
    await origin.stop("SIGKILL");

    const cached = await pullManifest(deployment.edgeUrl, "one/two");
    expect(cached.digest).toBe(manifest.digest);
    expect(await missingBlobs(deployment.edgeUrl, cached)).toStrictEqual([]);
  });

  test("at any step of packing and backfilling leaves nothing that is damaged or leads nowhere", async () => {
    await deployment.startEdge();
    const steps: readonly [msg: string, count: number][] = [
      ["packed", 1],
      ["packed", 2],
      ["packed", 3],
      ["answered", 1],
      ["uploaded", 1],
      ["uploaded", 2],
      ["backfilled", 1],
    ];
    for (const [msg, count] of steps) {
      const pulling = pullManifest(deployment.edgeUrl, "one/two/three").catch(() => undefined);
      // A later start may have fewer steps left than the one it is waited for.
      await Promise.race([
        origin.waitFor(() => origin.log.filter((line) => line.msg === msg).length >= count),
        pulling,
      ]);
      await origin.stop("SIGKILL");
      await pulling;
      await assertStorageWhole();
      origin = await deployment.startOrigin();
    }
    const manifest = await pullManifest(deployment.edgeUrl, "one/two/three");
    await assertWhole(deployment.edgeUrl, manifest);
    const left = await readdir(join(deployment.statePath, "origin/staging"));
    expect(left, "only the living origin has a staging folder").toHaveLength(1);
    await assertStorageWhole();
  });
});

async function assertWhole(url: string, manifest: PulledManifest): Promise<void> {
  expect(await missingBlobs(url, manifest)).toStrictEqual([]);
}

/** All that the origin and, where it runs, the edge have stored, as an operator has it checked. */
async function assertStorageWhole(): Promise<void> {
  const { statePath, edgeUrl } = deployment;
  const env = { NIXPORT_STATE: statePath, EDGE_PORT: new URL(edgeUrl).port };
  const { code, stdout, stderr } = await ended(start(["fsck", "--json"], env));
  expect(code, stderr).toBe(0);
  const { origin: own, edge } = JSON.parse(stdout);
  expect(own.findings).toStrictEqual([]);
  expect(edge.findings).toStrictEqual([]);
}

async function writeSet(salt: string): Promise<string> {
  const set = await mkdtemp(join(packages, "set-"));
  await chmod(set, 0o755);
  await writeFile(
    join(set, "default.nix"),
    `let
  package = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = ${SHELL_BUILDER};
    args = [ "-c" "PATH=/bin:/usr/bin; mkdir -p $out/bin; echo \${name} > $out/bin/\${name}; \${script}" ];
    salt = ${JSON.stringify(salt)};
  };
in {
  one = package "one" "";
  two = package "two" "";
  three = package "three" "head -c 3000000 /dev/zero > $out/zeros";
  slow = package "slow" "read line < ${gate}";
  cacert = package "nss-cacert" "";
  iana-etc = package "iana-etc" "";
}
`,
  );
  return set;
}
