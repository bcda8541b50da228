// The Dockerfiles of docs/recipes.md: an image on top of one of nixport's, and one that takes its tools from
// there, built by Docker's two builders and by Buildah.

import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../skip-where.ts";
import { missingClient, podmanOptions, podmanReset } from "./clients.ts";
import { removeStorage, run } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";
import { example } from "./recipes.ts";

/** Says who it is, and keeps something in git as that user. */
const APP = `
import os, subprocess
print(os.getuid(), os.environ["HOME"], flush=True)
subprocess.run(["bash", "-ec", """
cd && git init --quiet . && git config --global user.name me && git config --global user.email me@me
git commit --quiet --allow-empty --message=first && git log --format=%s
"""], check=True)
`;
const ROWS = [
  { name: "onTop", command: [], prints: /^1000 \/home\/me\nfirst\n$/ },
  { name: "copied", command: [], prints: /^jq-/ },
  { name: "bundleOnTop", command: ["cat", "/etc/ssl/cert.pem"], prints: /^own\n$/ },
] as const;

let scratch: string;
let deployment: Deployment;
let host: string;

function missing(...programs: readonly string[]): string | false {
  return programs.map(missingClient).find((reason) => reason !== false) ?? false;
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-builds-"));
  deployment = await deploy();
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  ({ host } = new URL(deployment.edgeUrl));
  await run("busybox", ["mkdir", "-p", `${scratch}/system/bin`]);
  await run("busybox", ["cp", "/bin/busybox", `${scratch}/system/bin/sh`]);
  await run("tar", ["-C", `${scratch}/system`, "-cf", `${scratch}/system.tar`, "bin"]);
});
afterAll(async () => {
  await deployment?.close();
  if (scratch) await removeStorage(scratch);
});

/** A folder with a Dockerfile, and what it copies. */
async function plantContext(name: (typeof ROWS)[number]["name"]): Promise<string> {
  const context = await mkdtemp(join(scratch, "context-"));
  await writeFile(join(context, "Dockerfile"), example(name, host));
  await writeFile(join(context, "app.py"), APP);
  await writeFile(join(context, "bundle.pem"), "own\n");
  return context;
}

describe("docker build", skipWhere(missing("dockerd", "docker", "busybox")), () => {
  let dockerd: Dockerd;
  beforeAll(async () => {
    dockerd = await startDockerd(join(scratch, "dockerd"));
    // Any image that Nix has not made.
    await dockerd.command(["import", `${scratch}/system.tar`, "debian:12"]);
  });
  afterAll(() => dockerd?.stop());

  const rows = ["1", "0"].flatMap((kit) => ROWS.map((row) => ({ kit, ...row })));
  test.for(rows)("builds $name, with DOCKER_BUILDKIT=$kit", async ({ kit, name, ...row }) => {
    const env = { DOCKER_BUILDKIT: kit };
    const tag = `${name.toLowerCase()}-${kit}`;
    const build = ["build", "--network=none", "--no-cache", "--tag", tag];
    await dockerd.command([...build, await plantContext(name)], { env });
    expect(await dockerd.run(tag, [], row.command)).toMatch(row.prints);
  });
});

describe("buildah bud", skipWhere(missing("buildah", "podman", "busybox")), () => {
  beforeAll(async () => {
    const archive = `${scratch}/system.tar`;
    await run("podman", [
      ...podmanOptions(scratch),
      "import",
      archive,
      "docker.io/library/debian:12",
    ]);
  });
  afterAll(() => podmanReset(scratch));

  test.for(ROWS)("builds $name", async ({ name, command, prints }) => {
    const storage = podmanOptions(scratch).slice(0, 4);
    const tag = `localhost/${name.toLowerCase()}`;
    const build = ["--storage-driver", "overlay", "bud", "--isolation", "chroot"];
    const options = ["--tls-verify=false", "--tag", tag, await plantContext(name)];
    await run("buildah", [...storage, ...build, ...options]);
    const start = ["run", "--rm", "--network=none", "--ulimit", "nofile=1024:1024"];
    const limits = ["--ulimit", "nproc=1024:1024", tag, ...command];
    expect(await run("podman", [...podmanOptions(scratch), ...start, ...limits])).toMatch(prints);
  });
});
