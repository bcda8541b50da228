// The examples of docs/recipes.md for Docker, its settings and its commands; and its Dockerfiles, built by its
// two builders and by Buildah: an image on top of one of nixport's, and one that takes its tools from there.

import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../skip-where.ts";
import { missingClient, podmanOptions, podmanReset } from "./clients.ts";
import { removeStorage, run } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";
import { blocksOf, EXAMPLES, example, REGISTRY } from "./recipes.ts";

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

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-builds-"));
  deployment = await deploy();
  await deployment.startOrigin();
  ({ host } = new URL(deployment.originUrl));
});
afterAll(async () => {
  await deployment?.close();
  if (scratch) await removeStorage(scratch);
});

/** Any image that Nix has not made: a root that is empty. */
async function plantSystem(): Promise<string> {
  const folder = await mkdtemp(join(scratch, "system-"));
  const archive = join(folder, "system.tar");
  await mkdir(join(folder, "etc"));
  await run("tar", ["-C", folder, "-cf", archive, "etc"]);
  return archive;
}

/** A folder with a Dockerfile, and what it copies. */
async function plantContext(name: (typeof ROWS)[number]["name"]): Promise<string> {
  const context = await mkdtemp(join(scratch, "context-"));
  await writeFile(join(context, "Dockerfile"), example(name, host));
  await writeFile(join(context, "app.py"), APP);
  await writeFile(join(context, "bundle.pem"), "own\n");
  return context;
}

test("every block of the page has a name here", () => {
  expect(blocksOf("recipes.md").map(({ place }) => place)).toStrictEqual(Object.values(EXAMPLES));
});

describe("docker", skipWhere(missingClient("dockerd", "docker")), () => {
  let dockerd: Dockerd;
  beforeAll(async () => {
    const settings = JSON.parse(example("insecureDocker", REGISTRY));
    dockerd = await startDockerd(join(scratch, "dockerd"), settings);
    await dockerd.command(["import", await plantSystem(), "debian:12"]);
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

  test("is told which registry has no TLS", async () => {
    const format = "{{json .RegistryConfig.IndexConfigs}}";
    const known = JSON.parse(await dockerd.command(["info", "--format", format]));
    expect(known[REGISTRY].Secure).toBe(false);
  });

  test("takes a bundle of certificates that is mounted over that of the image", async () => {
    await writeFile(join(scratch, "bundle.pem"), "own\n");
    const [, ...args] = example("bundleMounted", host).replace("$PWD", scratch).trim().split(" ");
    const read = ["cat", "/etc/ssl/certs/ca-certificates.crt"];
    const [command = "", ...options] = args;
    const print = [command, "--rm", "--network=none", ...options, ...read];
    expect(await dockerd.command(print)).toBe("own\n");
  });

  test("takes all images for old when it prunes, but for those that their label spares", async () => {
    const names = async () => {
      const list = await dockerd.command(["images", "--format", "{{.Repository}}"]);
      return list
        .trim()
        .split("\n")
        .filter((name) => name.endsWith("/jq"));
    };
    const [, ...prune] = example("prune", host).trim().split(" ");
    await dockerd.command(["pull", "--quiet", `${host}/jq`]);
    await dockerd.command(prune);
    expect(await names()).toStrictEqual([`${host}/jq`]);
    const withoutLabel = prune.slice(0, -2);
    await dockerd.command(withoutLabel);
    expect(await names()).toStrictEqual([]);
  });
});

describe("buildah bud", skipWhere(missingClient("buildah", "podman")), () => {
  beforeAll(async () => {
    const load = ["import", await plantSystem(), "docker.io/library/debian:12"];
    await run("podman", [...podmanOptions(scratch), ...load]);
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
