// An origin on a channel of nixpkgs whose binary cache fails in every way: what may pass is 503 and
// not remembered, and nothing is built from source that the cache was meant to have.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import type { Fault } from "../stand-ins/faults.ts";
import { missingWorld, openWorld, type World } from "../stand-ins/world.ts";
import { get, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

const atEnd = endOfFile();
let world: World;
let deployment: Deployment;
let origin: Part;

interface Refusal {
  readonly status: number;
  readonly retryAfter: number;
  readonly message: string;
  readonly reason: string;
}

async function refusal(name: string): Promise<Refusal> {
  const response = await get(deployment.originUrl, `/v2/${name}/manifests/latest`);
  const { errors } = (await response.json()) as {
    errors: readonly { message: string; detail: readonly { reason: string }[] }[];
  };
  return {
    status: response.status,
    retryAfter: Number(response.headers.get("Retry-After")),
    message: errors[0]?.message ?? "",
    reason: errors[0]?.detail[0]?.reason ?? "",
  };
}

async function deployIn(env: Readonly<Record<string, string>> = {}): Promise<void> {
  deployment = await deploy({
    launcher: world.launcher,
    env: {
      ...{ ...world.env, NIXERY_CHANNEL: "nixos-unstable", NIXPORT_PACK_WORKERS: "1" },
      // Nix's own patience would make each fault take a minute.
      NIX_CONFIG: `${world.env.NIX_CONFIG}\ndownload-attempts = 1\n`,
      ...env,
    },
  });
  origin = await deployment.startOrigin();
}

describe("a binary cache that fails", skipWhere(missingWorld()), () => {
  beforeAll(async () => {
    // The Nix of this machine may be an old one; what one that is too old is told is another test's.
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true });
    await deployIn();
  });
  // One that fails in another way than it should says nothing of the next.
  afterEach(() => world.cache.mend());
  afterAll(() => deployment?.close());

  test("is named at the start, with its keys and what may be built", async () => {
    const line = await origin.waitFor(({ msg }) => msg === "how packages are made");
    const { build, maxSourceBuilds, caches, keys } = line;
    expect({ build, maxSourceBuilds }).toStrictEqual({ build: "missing", maxSourceBuilds: 20 });
    expect(String(caches)).toMatch(/^https:\/\/cache\.nixos\.org\/?$/);
    expect(keys).toStrictEqual([world.cache.publicKey]);
  });

  // Of each package the cache is asked here for the first time.
  const faults: readonly (readonly [name: string, path: RegExp, fault: Fault, says: RegExp])[] = [
    ["bzip2", /narinfo bzip2/, { kind: "status", status: 500 }, /HTTP error 500/],
    ["brotli", /narinfo brotli/, { kind: "cut", afterBytes: 50 }, /cut short/],
    ["expat", /narinfo expat/, { kind: "bad-signature" }, /expat-.* is not signed by a key that/],
    ["oniguruma", /\.nar\.\w+ oniguruma/, { kind: "missing" }, /it lists nar\/.* and lacks it/],
    ["libffi", /\.nar\.\w+ libffi/, { kind: "status", status: 502 }, /HTTP error 502/],
    ["libnl", /\.nar\.\w+ libnl/, { kind: "cut", afterBytes: 50 }, /cut short/],
    ["nghttp2", /\.nar\.\w+ nghttp2/, { kind: "corrupt" }, /nghttp2|hash|compress/],
    // Nix takes these for "not there", and would build.
    ["attr", /narinfo attr/, { kind: "status", status: 401 }, /HTTP error 401: it does not accept/],
    ["acl", /narinfo acl|info/, { kind: "status", status: 403 }, /HTTP error 403: it does not acc/],
    ["gmp", /\.nar\.\w+ gmp/, { kind: "status", status: 401 }, /it lists nar\/.* and lacks it/],
    ["libuv", /./, { kind: "refuse" }, /connect/i],
  ];
  for (const [name, path, fault, says] of faults) {
    test(`makes ${name} 503 with the reason: ${fault.kind} of ${path.source}`, async () => {
      world.cache.fault(path, fault);
      const { status, reason, retryAfter, message } = await refusal(name);
      expect(status, message).toBe(503);
      expect(reason, message).toBe("cache-failed");
      expect(retryAfter).toBeGreaterThan(0);
      expect(message).toMatch(/^the binary cache cache\.nixos\.org does not give what it should/);
      expect(message).toMatch(says);
      const line = await origin.waitFor((each) => each.msg === "not realised");
      expect([line.level, line.kind]).toStrictEqual([50, "cache-failed"]);
      // Of what failed nothing is remembered, and nothing was built meanwhile.
      world.cache.mend();
      await pullManifest(deployment.originUrl, name);
      expect(origin.log.some(({ msg }) => msg?.startsWith("built from source"))).toBe(false);
    });
  }

  test("does not make a failing builder pass for it", async () => {
    const { status, reason, message } = await refusal("failing-tool");
    expect([status, reason], message).toStrictEqual([404, "build-failed"]);
  });

  test("is no reason to build more than the operator allows", async () => {
    await deployment.close();
    await deployIn({ NIXPORT_MAX_SOURCE_BUILDS: "1" });
    const { status, reason, message } = await refusal("uncached-tool");
    expect([status, reason]).toStrictEqual([503, "not-in-caches"]);
    expect(message).toMatch(
      /^no binary cache has what 2 derivations make \(uncached-library-1\.0, uncached-tool-1\.0\), and this registry builds 1 for one pull at most \(NIXPORT_MAX_SOURCE_BUILDS\)$/,
    );
  });

  test("is no reason to build anything where nothing may be built", async () => {
    await deployment.close();
    await deployIn({ NIXPORT_BUILD: "never" });
    const { status, message } = await refusal("uncached-tool");
    expect(status).toBe(503);
    expect(message).toMatch(/builds nothing from source \(NIXPORT_BUILD=never\)$/);
    await pullManifest(deployment.originUrl, "shell/attr");
  });
});
