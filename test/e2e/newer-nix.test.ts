// A machine whose Nix is too old for nixpkgs: a newer one comes out of the binary cache, and where
// it does not, the start says what to do.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { PINNED_NIX } from "../../origin/nix/pinned-nix.ts";
import { isOlder } from "../../origin/nix/version.ts";
import type { Ending } from "../origin/fixture.ts";
import { plantSet } from "../origin/house.ts";
import { SYSTEM, testNix } from "../origin/nix/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import type { NarTree } from "../stand-ins/nar.ts";
import { newerNix } from "../stand-ins/newer-nix.ts";
import { missingWorld, openWorld, type World } from "../stand-ins/world.ts";
import { pullManifest } from "./clients.ts";
import { type Deployment, deploy } from "./deployment.ts";

const PATH = PINNED_NIX.paths[SYSTEM === "aarch64-linux" ? SYSTEM : "x86_64-linux"];
const NARINFO = new RegExp(`/${PATH.slice("/nix/store/".length).slice(0, 32)}\\.narinfo`);
const NEEDED = "2.18.0";
let newer: NarTree;
const isOld = isOlder((await testNix()).version, NEEDED);

/** A world whose set needs a newer Nix, and an origin that is to be started in it. */
async function open(
  onEnd: Ending,
  hasNewer: boolean,
  env: Readonly<Record<string, string>> = { NIXERY_CHANNEL: "nixos-unstable" },
): Promise<{ readonly world: World; readonly deployment: Deployment }> {
  const world = await openWorld(onEnd, { minver: NEEDED, ownStore: true });
  if (hasNewer) world.cache.add(PATH, newer, []);
  const deployment = await deploy({
    launcher: world.launcher,
    env: {
      ...world.env,
      NIXPORT_PACK_WORKERS: "1",
      // The builders of a set of our own use this machine's shell.
      NIX_CONFIG: `${world.env.NIX_CONFIG}\nsandbox = false`,
      ...env,
    },
  });
  onEnd(() => deployment.close());
  return { world, deployment };
}

function versionUsed(log: readonly { readonly msg?: string }[]): string | undefined {
  return log.flatMap(
    ({ msg }) => /^Nix (\S+) is used, which is newer/.exec(msg ?? "")?.[1] ?? [],
  )[0];
}

describe("a Nix that is too old for nixpkgs", {
  ...skipWhere(missingWorld() || (!isOld && `this machine's Nix is ${NEEDED} or newer`)),
}, () => {
  beforeAll(async () => {
    newer = await newerNix();
  }, 240_000);

  test("gives way to a newer one out of the cache, which the next start finds without it", async () => {
    const { world, deployment } = await open(onTestFinished, true);
    const first = await deployment.startOrigin();
    expect(isOlder(versionUsed(first.log) ?? "0", NEEDED)).toBe(false);
    await deployment.startEdge();
    const image = await pullManifest(deployment.edgeUrl, "shell/git/htop");
    expect(image.layers.length).toBeGreaterThan(0);
    await first.stop();

    world.cache.fault(/./, { kind: "refuse" });
    const again = await deployment.startOrigin();
    expect(versionUsed(again.log)).toBe(versionUsed(first.log));
    await pullManifest(deployment.originUrl, "shell/git/htop");
  });

  const faults: readonly [words: string, hasNewer: boolean, why: RegExp, badly?: "signed"][] = [
    ["no cache has a newer one", false, /no cache that this Nix asks has it/],
    ["a newer one is signed by a stranger", true, /signature|not signed/, "signed"],
  ];
  test.for(faults)(
    "is told with what to do, and nothing is started, where %s",
    async ([, hasNewer, why, badly]) => {
      const { world, deployment } = await open(onTestFinished, hasNewer);
      if (badly !== undefined) world.cache.fault(NARINFO, { kind: "bad-signature" });
      const failure = await deployment.startOrigin().then(
        () => expect.unreachable("it started"),
        (error: Error) => error.message,
      );
      const told =
        /nixport: Nix (\S+) is here, nixpkgs nixos-unstable needs (\S+) or newer, and Nix \S+ was not to be had: (.*?)\. Let Nix reach a cache/.exec(
          failure,
        );
      expect(told?.[2], failure).toBe(NEEDED);
      expect(told?.[3] ?? "").toMatch(why);
    },
  );

  test("leaves the Debian-backed set where no source was asked for, with the reason", async () => {
    const { deployment } = await open(onTestFinished, false, { NIXERY_PKGS_PATH: "" });
    const { log } = await deployment.startOrigin();
    const [line] = log.flatMap(({ msg }) => (msg?.startsWith("package source: ") ? msg : []));
    expect(line ?? "").toMatch(
      /^package source: \d+ packages made of Debian's, since Nix \S+ is here, nixpkgs nixos-unstable needs 2\.18 or newer, .*: no cache that this Nix asks has it$/,
    );
    await pullManifest(deployment.originUrl, "hello");
  });

  test("gives way while its origin runs, when the set comes to need a newer one", async () => {
    const setPath = await plantSet(onTestFinished);
    const own = { NIXERY_PKGS_PATH: setPath, NIXERY_CHANNEL: "" };
    const { world, deployment } = await open(onTestFinished, true, own);
    const part = await deployment.startOrigin();
    const before = await pullManifest(deployment.originUrl, "hello");
    expect(world.cache.requests.some((request) => NARINFO.test(request))).toBe(false);

    await mkdir(join(setPath, "lib"));
    await writeFile(join(setPath, "lib/minver.nix"), `"${NEEDED}"`);
    const after = await pullManifest(deployment.originUrl, "hello");
    expect(after.digest).toBe(before.digest);
    expect(after.headers.get("Nixport-Pin")).not.toBe(before.headers.get("Nixport-Pin"));
    await part.waitFor(({ msg }) => msg === "another Nix is used from now on");
  });
});
