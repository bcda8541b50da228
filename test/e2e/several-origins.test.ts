// Two origins behind one edge, as processes, without a storage in common: what one begins the other ends,
// and what one has the other does not deny.

import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ranking } from "../../edge/origin-client/ranking.ts";
import { type RunningEdge, startEdge } from "../../origin/command/workerd.ts";
import { hidesHost, SHELL_BUILDER } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { get, missingBlobs, type PulledManifest, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";
import { letThrough } from "./gate.ts";

const SECRET = "a secret of both origins and their edge";
let folder: string;
let gate: string;
let edge: RunningEdge;
const log: string[] = [];
/** By their URLs. */
const origins = new Map<string, { readonly deployment: Deployment; part: Part }>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nixport-origins-"));
  await chmod(folder, 0o755);
  gate = join(folder, "gate");
  spawnSync("mkfifo", ["--mode=666", gate]);
  const packages = join(folder, "set");
  await mkdir(packages);
  await writeFile(join(packages, "default.nix"), setOf());
  const env = { NIXPORT_SECRET: SECRET, NIXPORT_ACCESS: "edge", NIXPORT_LOG_LEVEL: "debug" };
  for (let count = 0; count < 2; count++) {
    const deployment = await deploy({ packages, env });
    origins.set(deployment.originUrl, { deployment, part: await deployment.startOrigin() });
  }
  edge = await startEdge({
    ...{ port: 0, statePath: join(folder, "edge"), originUrl: "", secret: SECRET },
    originUrls: [...origins.keys()],
    onLog: (line) => log.push(line),
  });
});
afterAll(async () => {
  await edge?.close();
  await Promise.all([...origins.values()].map(({ deployment }) => deployment.close()));
  await rm(folder, { recursive: true, force: true });
});

/** In the order in which the edge asks them for it. */
async function askedFor(image: string) {
  return (await ranking([...origins.keys()], image)).flatMap((url) => origins.get(url) ?? []);
}
const answered = ({ part }: { part: Part }, image: string) =>
  part.log.filter((line) => line.msg === "answered" && line.image === image);

describe("an edge of two origins", skipWhere(hidesHost), () => {
  let one: PulledManifest;

  test("asks one of them for an image, signed for it", async () => {
    one = await pullManifest(edge.url, "one");
    expect(await missingBlobs(edge.url, one)).toStrictEqual([]);
    const [first, second] = await askedFor("one");
    expect(first && answered(first, "one")).toHaveLength(1);
    expect(second && answered(second, "one")).toStrictEqual([]);
  });

  test("says of what one has that it may come back, while that one is down", async () => {
    const [first] = await askedFor("one");
    await first?.part.stop("SIGKILL");
    // Its own, unlike the ground, which each origin has.
    const view = one.layers.at(-1)?.digest;
    expect((await get(edge.url, `/v2/one/blobs/${view}`)).status).toBe(503);
    // By its tag it is made by the other, with the same digest.
    expect((await pullManifest(edge.url, "one")).digest).toBe(one.digest);
    expect(log.map((line) => JSON.parse(line).event)).toContain("origin passed over");
    if (first !== undefined) first.part = await first.deployment.startOrigin();
  });

  test("has a build begun anew by the other, where the one that ran it is killed", async () => {
    const pulling = pullManifest(edge.url, "slow");
    // A writer can open the fifo only when a builder reads from it.
    const opened = await open(gate, "w");
    const building = [...origins.values()].filter(({ part }) =>
      part.log.some(({ msg, path }) => msg === "asked" && path === "/v2/slow/manifests/latest"),
    );
    expect(building).toHaveLength(1);
    await building[0]?.part.stop("SIGKILL");
    await opened.close();
    await letThrough(gate, pulling);
    expect(await missingBlobs(edge.url, await pulling)).toStrictEqual([]);
  });
});

function setOf(): string {
  return `let
  package = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = ${SHELL_BUILDER};
    args = [ "-c" "PATH=/bin:/usr/bin; mkdir -p $out/bin; echo \${name} > $out/bin/\${name}; \${script}" ];
    salt = "${folder}";
  };
in {
  one = package "one" "";
  slow = package "slow" "read line < ${gate}";
  cacert = package "nss-cacert" "";
  iana-etc = package "iana-etc" "";
}
`;
}
