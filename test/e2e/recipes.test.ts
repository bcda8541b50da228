// The examples of docs/recipes.md for a Docker engine: its settings, and its commands.

import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../skip-where.ts";
import { missingClient } from "./clients.ts";
import { removeStorage } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";
import { blocksOfPage, EXAMPLES, example } from "./recipes.ts";

let scratch: string;
let deployment: Deployment;
let dockerd: Dockerd;
let host: string;

test("every block of the page has a name here", () => {
  expect(blocksOfPage().map(({ place }) => place)).toStrictEqual(Object.values(EXAMPLES));
});

const missing = ["dockerd", "docker"].map(missingClient).find((reason) => reason !== false);

describe("a Docker engine", skipWhere(missing), () => {
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "nixport-recipes-"));
    deployment = await deploy();
    await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
    ({ host } = new URL(deployment.edgeUrl));
    const settings = JSON.parse(example("insecureDocker", "registry.example.org"));
    dockerd = await startDockerd(join(scratch, "dockerd"), settings);
  });
  afterAll(async () => {
    await dockerd?.stop();
    await deployment?.close();
    await removeStorage(scratch);
  });

  test("is told which registry has no TLS", async () => {
    const format = "{{json .RegistryConfig.IndexConfigs}}";
    const known = JSON.parse(await dockerd.command(["info", "--format", format]));
    expect(known["registry.example.org"].Secure).toBe(false);
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
