// A host that fails in every way, with real disks, a real daemon and real processes: each is 503 with the
// reason, in the log as an error, remembered by nobody, and over as soon as its cause is gone. What is
// stored is served meanwhile.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../bench/random.ts";
import { endOfFile } from "../origin/fixture.ts";
import { until } from "../origin/images/gated-set.ts";
import { skipWhere } from "../skip-where.ts";
import { get, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";
import {
  type FailingHost,
  failingHostSet,
  kill,
  lateServer,
  missingHost,
  openFailingHost,
  processIn,
} from "./failing-host.ts";

const FETCHED = "what is fetched\n";
/** That no packing makes smaller. */
const NOISE_BYTES = 4 << 20;
const sha256 = createHash("sha256").update(FETCHED).digest("hex");

const atEnd = endOfFile();
let host: FailingHost;
let deployment: Deployment;
let origin: Part;
let closed: Awaited<ReturnType<typeof lateServer>>;
let expired: Awaited<ReturnType<typeof lateServer>>;

interface Fault {
  readonly name: string;
  readonly reason: "host-failed" | "source-unreachable";
  readonly says: RegExp;
  /** The result mends it. */
  readonly begin: () => Promise<() => Promise<void>>;
  /** While the request waits. */
  readonly meanwhile?: () => Promise<void>;
}

const FULL = /no space is left on its disk|its disk fails, or is full/;

const faults: readonly (readonly [what: string, fault: Fault])[] = [
  [
    "a store without room",
    { name: "store-full", reason: "host-failed", says: FULL, begin: () => host.fill("/nix") },
  ],
  [
    "a TMPDIR without room",
    {
      name: "tmp-full",
      reason: "host-failed",
      says: FULL,
      begin: () => host.fill(join(host.folder, "tmp")),
    },
  ],
  [
    "a storage without room",
    {
      name: "unstorable",
      reason: "host-failed",
      says: FULL,
      begin: () => host.fill(deployment.statePath),
    },
  ],
  [
    "a storage with room for less than a layer",
    {
      name: "half-stored",
      reason: "host-failed",
      says: FULL,
      begin: () => host.fill(deployment.statePath, NOISE_BYTES / 2),
    },
  ],
  [
    "a storage that can only be read",
    {
      name: "unwritable",
      reason: "host-failed",
      says: /its disk can only be read/,
      begin: () => host.keepFromWriting(join(deployment.statePath, "origin")),
    },
  ],
  [
    "a storage that may only be read",
    {
      name: "forbidden",
      reason: "host-failed",
      says: /its files may not be read or written/,
      begin: () => host.forbid(join(deployment.statePath, "origin"), "a-w"),
    },
  ],
  [
    "a daemon that is gone",
    {
      name: "daemonless",
      reason: "host-failed",
      says: /the Nix daemon does not answer/,
      begin: () => host.keepDaemonAway(),
    },
  ],
  [
    "an evaluation that is killed",
    {
      name: "gated",
      reason: "host-failed",
      says: /an evaluation was ended by SIGKILL/,
      begin: async () => {
        const gate = join(host.folder, "gate");
        spawnSync("mkfifo", [gate]);
        return async () => {
          await rm(gate);
          await writeFile(gate, "");
        };
      },
      meanwhile: () => killChildren("nix-instantiate"),
    },
  ],
  [
    "a process of Nix's that is killed",
    {
      name: "held",
      reason: "host-failed",
      says: /Nix itself was killed/,
      begin: async () => () => writeFile(join(host.folder, "free"), ""),
      meanwhile: () => killChildren("nix-store\0--realise\0/"),
    },
  ],
  [
    "a builder that is killed",
    {
      name: "hunted",
      reason: "host-failed",
      says: /a builder was killed/,
      begin: async () => () => writeFile(join(host.folder, "spared"), ""),
      async meanwhile() {
        kill(await processIn(join(host.folder, "hunted")));
      },
    },
  ],
  [
    "a host that may build nothing",
    {
      name: "jobless",
      reason: "host-failed",
      says: /max-jobs = 0/,
      begin: async () => {
        const file = join(host.folder, "conf/nix.conf");
        await writeFile(file, "max-jobs = 0\n");
        return () => writeFile(file, "");
      },
    },
  ],
  [
    "a source behind a closed port",
    {
      name: "unfetched",
      reason: "source-unreachable",
      says: /unable to download 'http:\/\/127\.0\.0\.1:\d+\/file'/,
      begin: async () => () => closed.start(200),
    },
  ],
  [
    "a source whose server wants other credentials",
    {
      name: "expired",
      reason: "source-unreachable",
      says: /HTTP error 401/,
      begin: async () => {
        await expired.start(401);
        return () => expired.start(200);
      },
    },
  ],
];

async function killChildren(command: string): Promise<void> {
  let found: readonly number[] = [];
  await until("it has been started", async () => {
    found = await host.childrenOf(command);
    return found.length > 0;
  });
  for (const pid of found) kill(pid);
}

async function refusal(name: string, meanwhile: Fault["meanwhile"]) {
  const path = `/v2/${name}/manifests/latest`;
  const [response] = await Promise.all([get(deployment.originUrl, path), meanwhile?.()]);
  const { errors } = (await response.json()) as {
    errors: readonly { message: string; detail: readonly { reason: string }[] }[];
  };
  const { message = "", detail = [] } = errors[0] ?? {};
  const retryAfter = Number(response.headers.get("Retry-After"));
  return { status: response.status, retryAfter, message, reasons: detail.map((one) => one.reason) };
}

describe("a host that fails", skipWhere(missingHost()), () => {
  beforeAll(async () => {
    host = await openFailingHost(atEnd);
    [closed, expired] = [await lateServer(atEnd, FETCHED), await lateServer(atEnd, FETCHED)];
    const random = createRandom(1);
    const noise = Uint8Array.from({ length: NOISE_BYTES }, () => random.below(256));
    await writeFile(join(host.folder, "noise"), noise);
    const packages = join(host.folder, "set");
    await mkdir(packages);
    const fetched = {
      unfetched: { url: closed.url, sha256 },
      expired: { url: expired.url, sha256 },
    };
    const { folder } = host;
    await writeFile(join(packages, "default.nix"), failingHostSet({ folder, fetched }));
    deployment = await deploy({
      ...{ launcher: host.launcher, packages },
      env: { ...host.env, NIXPORT_PACK_WORKERS: "1" },
    });
    atEnd(() => deployment.close());
    origin = await deployment.startOrigin();
    await pullManifest(deployment.originUrl, "stored");
  });

  test.each(faults)("is told as such, and never remembered: %s", async (_what, fault) => {
    const { name, reason, says, begin, meanwhile } = fault;
    const before = origin.log.length;
    const mend = await begin();
    try {
      const refused = await refusal(name, meanwhile);
      expect([refused.status, refused.reasons], refused.message).toStrictEqual([503, [reason]]);
      expect(refused.message).toMatch(says);
      expect(refused.retryAfter).toBeGreaterThan(0);
      expect(refused.message).not.toContain(host.folder);
      const errors = origin.log.slice(before).filter(({ level }) => level === 50);
      expect(errors.map((line) => line.kind)).toContain(reason);
      // Whatever else is full or gone.
      await pullManifest(deployment.originUrl, "stored");
    } finally {
      await mend();
    }
    await pullManifest(deployment.originUrl, name);
  });

  test("is noticed by nobody where only its daemon is restarted", async () => {
    const before = origin.log.length;
    const pulling = pullManifest(deployment.originUrl, "cut-off");
    const builder = await processIn(join(host.folder, "begun"));
    await host.killDaemon();
    kill(builder);
    await pulling;
    expect(origin.log.slice(before).filter(({ level }) => level === 50)).toStrictEqual([]);
  });

  test("keeps what may not be read from being told as gone", async () => {
    const { layers } = await pullManifest(deployment.originUrl, "stored");
    const [layer] = layers;
    const path = `/v2/stored/blobs/${layer?.digest}`;
    const allow = await host.forbid(join(deployment.statePath, "origin/layers"), "a-rwx");
    const refused = await get(deployment.originUrl, path);
    await allow();
    expect(await refused.text()).toMatch(/its files may not be read or written/);
    expect(refused.status).toBe(503);
    const { status, headers } = await get(deployment.originUrl, path, { method: "HEAD" });
    expect([status, headers.get("content-length")]).toStrictEqual([200, String(layer?.size)]);
  });

  test("leaves nothing half-written", async () => {
    const staging = await host.place(join(deployment.statePath, "origin/staging"));
    const [own = ""] = await readdir(staging);
    expect(await readdir(join(staging, own))).toStrictEqual(["lock"]);
  });
});
