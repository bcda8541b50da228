// What a real client prints of every way in which a package cannot be had.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { plantFailingSet } from "../origin/failing-set.ts";
import { endOfFile } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { get, missingClient, skopeoCopy } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

const atEnd = endOfFile();
let deployment: Deployment;
let origin: Part;
let setPath: string;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-failures-"));
  setPath = await plantFailingSet(atEnd);
  deployment = await deploy({ packages: setPath, env: { NIX_TIMEOUT: "2" } });
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
});

afterAll(async () => {
  await deployment?.close();
  await rm(scratch, { recursive: true, force: true });
});

/** What skopeo's log line says, with its quoting undone. */
function printed(url: string, name: string): string {
  const { code, stderr } = skopeoCopy(url, name, `oci:${scratch}/out`);
  expect(code, stderr).not.toBe(0);
  const quoted = /msg=("(?:[^"\\]|\\.)*")/.exec(stderr)?.[1];
  assert(quoted !== undefined, stderr);
  for (const place of [setPath, deployment.statePath, "/tmp/", process.env.HOME ?? "/root"]) {
    const ours = stderr.replaceAll(`${scratch}/out`, "");
    expect(ours, `names ${place}: ${stderr}`).not.toContain(place);
  }
  return JSON.parse(quoted) as string;
}

const REASONS: readonly [name: string, says: readonly RegExp[]][] = [
  ["nosuchthing", [/manifest unknown: no package nosuchthing\b/]],
  ["helo", [/no package helo \(did you mean hello/]],
  ["nested", [/nested is a set, not a package \(did you mean .*nested\.inner/]],
  ["licensed", [/licensed has an unfree licence \(own-licence\)/, /\{"allowUnfree":true\}/]],
  ["defective", [/defective is marked broken/, /\{"allowBroken":true\}/]],
  ["leaky", [/leaky is marked insecure \(CVE-2026-0001\)/, /Packages":\["leaky-1\.0"\]\}/]],
  ["elsewhere", [/elsewhere does not support (x86_64|aarch64)-linux/]],
  ["throwing", [/throwing cannot be evaluated: it was renamed to hello/]],
  ["aborting", [/aborting cannot be evaluated: .*nothing can be said of it/]],
  ["recursive", [/recursive cannot be evaluated: infinite recursion/]],
  ["unreadable", [/unreadable cannot be evaluated: .*…\/default\.nix/]],
  ["failing", [/failing cannot be built: .*exit code 7/, /\n {2}this went wrong/]],
  ["dependent", [/dependent cannot be built: .*-failing-1\.0\.drv/, /\n {2}this went wrong/]],
  ["slow", [/slow cannot be built: .*-slow-1\.0\.drv was stopped after 2 s/]],
  ["hello/helo/leaky/throwing", [/no package helo.*\nleaky is.*\nthrowing cannot/]],
  ["failing/failing-too/hello", [/exit code 7[\s\S]*\nfailing-too cannot be built: .*exit code 8/]],
];

describe("skopeo", skipWhere(missingClient("skopeo")), () => {
  for (const at of ["originUrl", "edgeUrl"] as const) {
    for (const [name, says] of REASONS) {
      test(`prints why ${name} cannot be had, from ${at}`, () => {
        const message = printed(deployment[at], name);
        for (const reason of says) expect(message).toMatch(reason);
      });
    }
  }
});

describe("an image that cannot be had", () => {
  test("starts no process when it is asked for again, nor after a restart", async () => {
    const path = "/v2/helo/leaky/licensed/nested/manifests/latest";
    const ask = async () => (await get(deployment.originUrl, path)).json();
    const first = await ask();
    await origin.stop();
    origin = await deployment.startOrigin();
    const before = origin.log.length;
    expect(await ask()).toStrictEqual(first);
    await origin.waitFor(({ msg, path: asked }) => msg === "answered" && asked === path);
    const started = origin.log.slice(before).filter(({ msg }) => msg === "started");
    expect(started).toStrictEqual([]);
  });

  test("is told to a HEAD request by its status alone", async () => {
    const response = await get(deployment.edgeUrl, "/v2/helo/manifests/latest", { method: "HEAD" });
    expect(response.status).toBe(404);
    expect(await response.text()).toBe("");
    expect(JSON.stringify([...response.headers]).length).toBeLessThan(2000);
  });
});
