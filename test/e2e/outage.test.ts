// The edge alone: what was pulled keeps pulling while the origin is down, and so does every
// combination of it.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { debianSetNixConfig } from "../../origin/command/host.ts";
import { ended, start } from "../origin/command/command.ts";
import { get, missingBlobs, type PulledManifest, pullManifest } from "./clients.ts";
import { DEBIAN_SET, type Deployment, deploy, type Part } from "./deployment.ts";

const PULLED = ["git", "htop", "jq", "shell/curl"] as const;
const NEVER_PULLED = "curl/git/htop/jq";

let deployment: Deployment;
let origin: Part;
const pulled = new Map<string, PulledManifest>();

beforeAll(async () => {
  deployment = await deploy();
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  for (const image of [...PULLED, "curl"]) {
    pulled.set(image, await pullManifest(deployment.edgeUrl, image));
  }
  const backfilled = [...PULLED, "curl"].length;
  await origin.waitFor(
    () => origin.log.filter(({ msg }) => msg === "backfilled").length === backfilled,
  );
  await origin.stop("SIGKILL");
});

afterAll(() => deployment?.close());

describe("with the origin stopped", () => {
  for (const image of PULLED) {
    test(`${image} pulls by tag, with all its blobs`, async () => {
      const manifest = await pullManifest(deployment.edgeUrl, image);
      expect(manifest.digest).toBe(pulled.get(image)?.digest);
      expect(manifest.headers.get("cache-status") ?? "").toMatch(/^nixport; hit; detail=/);
      expect(await missingBlobs(deployment.edgeUrl, manifest)).toStrictEqual([]);
    });

    test(`${image} pulls by digest`, async () => {
      const digest = pulled.get(image)?.digest;
      const manifest = await pullManifest(deployment.edgeUrl, `${image}@${digest}`);
      expect(manifest.digest).toBe(digest);
    });
  }

  test("a combination never pulled before is composed, with the digest the origin alone gives", async () => {
    const composed = await pullManifest(deployment.edgeUrl, NEVER_PULLED);
    expect(composed.headers.get("cache-status") ?? "").toMatch(/detail=composed/);
    expect(await missingBlobs(deployment.edgeUrl, composed)).toStrictEqual([]);
    const again = await pullManifest(deployment.edgeUrl, `${NEVER_PULLED}@${composed.digest}`);
    expect(again.digest).toBe(composed.digest);

    const alone = await deploy({ env: { NIXPORT_EDGE_URL: "" } });
    try {
      await alone.startOrigin();
      const built = await pullManifest(alone.originUrl, NEVER_PULLED);
      expect(built.digest).toBe(composed.digest);
    } finally {
      await alone.close();
    }
  });

  test.for(["git", NEVER_PULLED])(
    "anybody can verify %s, with what the edge alone says",
    async (image) => {
      const { code, stdout, stderr } = await ended(
        start(["verify", "--registry", deployment.edgeUrl, image], {
          ...{ NIXERY_PKGS_PATH: DEBIAN_SET, HOME: process.env.HOME ?? "/root" },
          NIX_CONFIG: debianSetNixConfig(process.env.NIX_CONFIG),
        }),
      );
      expect(code, stdout + stderr).toBe(0);
      expect(stdout).toMatch(/\nequal\n$/);
    },
  );

  test("a package never seen is 503 with Retry-After and a registry error", async () => {
    const response = await get(deployment.edgeUrl, "/v2/hello/manifests/latest");
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after") ?? "").toMatch(/^[1-9][0-9]*$/);
    const body = (await response.json()) as { errors: { code: string }[] };
    expect(body.errors[0]?.code).toBe("UNAVAILABLE");
  });

  test("a blob never seen is 503, for nobody said that there is none", async () => {
    const response = await get(deployment.edgeUrl, `/v2/git/blobs/sha256:${"1".repeat(64)}`);
    expect(response.status).toBe(503);
  });

  test("the package never seen pulls once the origin is back", async () => {
    origin = await deployment.startOrigin();
    const manifest = await pullManifest(deployment.edgeUrl, "hello");
    expect(await missingBlobs(deployment.edgeUrl, manifest)).toStrictEqual([]);
  });
});
