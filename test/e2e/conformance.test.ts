// The conformance programs of the distribution specification against the edge and the origin: what
// of them asks of a registry that nobody may push to.

import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { runProcess } from "../../origin/nix/spawn.ts";
import { endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { plantSet, REPOSITORY_PREFIX } from "../origin/house.ts";
import { skipWhere } from "../skip-where.ts";
import { type PulledManifest, pullManifest } from "./clients.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type GoProgram, goProgram } from "./go-programs.ts";

const REPOSITORY = `${REPOSITORY_PREFIX}hello`;
const REGISTRIES = ["edge", "origin"] as const;
const RUN_DEADLINE_MS = 60_000;
const atEnd = endOfFile();
let deployment: Deployment;
let image: PulledManifest;

const current = await goProgram("conformance");
const earlier = await goProgram("earlier-conformance");

beforeAll(async () => {
  deployment = await deploy({ packages: await plantSet(atEnd) });
  atEnd(() => deployment.close());
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  image = await pullManifest(deployment.edgeUrl, REPOSITORY);
});

function urlOf(registry: (typeof REGISTRIES)[number]): string {
  return registry === "edge" ? deployment.edgeUrl : deployment.originUrl;
}

function skipWithout(program: GoProgram) {
  return skipWhere(program.kind === "missing" && program.reason);
}

/** What it printed: its result is in that, since it may end in a fault of its own behind it. */
async function run(
  program: GoProgram,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  assert(program.kind === "program");
  const folder = await temporaryDirectory(onTestFinished);
  const result = await runProcess(program.path, args, {
    env: { PATH: process.env.PATH ?? "", OCI_RESULTS_DIR: folder, OCI_REPORT_DIR: folder, ...env },
    deadlineMs: RUN_DEADLINE_MS,
  });
  assert(result.kind === "exited", result.kind);
  return `${result.stdout}\n${result.stderr}`;
}

describe("the conformance program, read only", skipWithout(current), () => {
  test.each(REGISTRIES)("finds nothing wrong with the %s", async (registry) => {
    const blobs = [image.config, ...image.layers].map(({ digest }) => digest);
    const said = await run(current, [], {
      ...{ OCI_REGISTRY: new URL(urlOf(registry)).host, OCI_TLS: "disabled", OCI_VERSION: "1.1" },
      ...{ OCI_REPO1: REPOSITORY, OCI_REPO2: REPOSITORY, OCI_API_PUSH: "false" },
      ...{ OCI_API_BLOBS_DELETE: "false", OCI_API_MANIFESTS_DELETE: "false" },
      ...{ OCI_API_TAGS_DELETE: "false", OCI_API_TAGS_LIST: "true", OCI_API_REFERRER: "true" },
      ...{ OCI_RO_DATA_TAGS: "latest", OCI_RO_DATA_MANIFESTS: image.digest },
      ...{ OCI_RO_DATA_BLOBS: blobs.join(" "), OCI_RO_DATA_REFERRERS: image.digest },
      OCI_API_BLOBS_DIGEST_HEADER: "true",
      // Read only, it misses Docker-Content-Digest in every answer with a manifest, be it there or
      // not; test/origin/app.test.ts and test/edge/pulling/pull.test.ts look for it.
      OCI_API_MANIFESTS_DIGEST_HEADER: "false",
    });
    const count = (what: string) =>
      Number(new RegExp(`^ *${what}\\.+: +(\\d+)$`, "m").exec(said)?.[1]);
    expect(count("FAIL"), said).toBe(0);
    expect(count("Error"), said).toBe(0);
    expect(count("Skip"), said).toBe(0);
    // The ping, the list of tags, referrers, the image itself and what is not there.
    expect(count("Pass"), said).toBe(12 + 2 * blobs.length);
  });
});

describe("the conformance tests up to 1.1.1, of pulling", skipWithout(earlier), () => {
  test.each(REGISTRIES)("find nothing wrong with the %s", async (registry) => {
    const said = await run(earlier, ["-ginkgo.no-color"], {
      ...{ OCI_ROOT_URL: urlOf(registry), OCI_NAMESPACE: REPOSITORY, OCI_TEST_PULL: "1" },
      ...{ OCI_TAG_NAME: "latest", OCI_MANIFEST_DIGEST: image.digest },
      ...{ OCI_BLOB_DIGEST: image.config.digest, OCI_HIDE_SKIPPED_WORKFLOWS: "1" },
    });
    expect(said).toMatch(/^SUCCESS! -- 14 Passed \| 0 Failed /m);
  });
});
