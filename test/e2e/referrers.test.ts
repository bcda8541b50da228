// Clients that look for what refers to an image, such as signatures, and copy it along.

import { join } from "node:path";
import { assert, beforeAll, describe, expect, test } from "vitest";
import { endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { plantSet, REPOSITORY_PREFIX } from "../origin/house.ts";
import { skipWhere } from "../skip-where.ts";
import { type ClientResult, pullManifest, runClient } from "./clients.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type GoProgram, goProgram } from "./go-programs.ts";

const REGISTRIES = ["edge", "origin"] as const;
type Registry = (typeof REGISTRIES)[number];
const atEnd = endOfFile();
let deployment: Deployment;
let scratch: string;
let digest: string;

const oras = await goProgram("oras");
const regctl = await goProgram("regctl");

beforeAll(async () => {
  scratch = await temporaryDirectory(atEnd);
  deployment = await deploy({ packages: await plantSet(atEnd) });
  atEnd(() => deployment.close());
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  ({ digest } = await pullManifest(deployment.edgeUrl, `${REPOSITORY_PREFIX}hello`));
});

function hostOf(registry: Registry): string {
  return new URL(registry === "edge" ? deployment.edgeUrl : deployment.originUrl).host;
}

function nameOf(registry: Registry, name: string): string {
  return `${hostOf(registry)}/${REPOSITORY_PREFIX}${name}`;
}

function skipWithout(program: GoProgram) {
  return skipWhere(program.kind === "missing" && program.reason);
}

function run(program: GoProgram, args: readonly string[]): ClientResult {
  assert(program.kind === "program");
  return runClient(program.path, args);
}

describe("oras", skipWithout(oras), () => {
  test.each(REGISTRIES)("discovers that nothing refers to an image of the %s", (registry) => {
    for (const by of ["v1.1-referrers-api", "v1.1-referrers-tag"]) {
      const how = ["--plain-http", "--distribution-spec", by];
      const { code, stdout, stderr } = run(oras, [
        ...["discover", ...how, `${nameOf(registry, "hello")}@${digest}`],
      ]);
      expect(code, stderr).toBe(0);
      expect(stdout.trim()).toBe(`${nameOf(registry, "hello")}@${digest}`);
    }
  });

  test.each(REGISTRIES)("copies an image with all that refers to it from the %s", (registry) => {
    const { code, stdout, stderr } = run(oras, [
      ...["copy", "-r", "--from-plain-http", `${nameOf(registry, "hello")}:latest`],
      ...["--to-oci-layout", `${join(scratch, `oras-${registry}`)}:copied`],
    ]);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(digest);
  });

  test.each(REGISTRIES)("lists the tags of what is a package of the %s only", (registry) => {
    const list = (name: string) =>
      run(oras, ["repo", "tags", "--plain-http", nameOf(registry, name)]);
    expect(list("hello")).toMatchObject({ code: 0, stdout: "latest\n" });
    const refused = list("helo");
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/no package helo \(did you mean hello/);
  });
});

describe("regctl", skipWithout(regctl), () => {
  const hosted = (registry: Registry) => ["--host", `reg=${hostOf(registry)},tls=disabled`];

  test.each(REGISTRIES)("lists no artifacts of an image of the %s", (registry) => {
    const { code, stdout, stderr } = run(regctl, [
      ...["artifact", "list", ...hosted(registry), `${nameOf(registry, "hello")}:latest`],
    ]);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Subject: +\\S+@${digest}\\s+Referrers:\\s*$`));
  });

  test.each(REGISTRIES)("copies an image with what signs it from the %s", (registry) => {
    const { code, stderr } = run(regctl, [
      ...["image", "copy", "--referrers", "--digest-tags", ...hosted(registry)],
      ...[`${nameOf(registry, "hello")}:latest`, `ocidir://${scratch}/regctl-${registry}:copied`],
    ]);
    expect(code, stderr).toBe(0);
  });
});
