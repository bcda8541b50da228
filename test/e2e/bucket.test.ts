// An origin whose layers are in a bucket, with the variables of an environment file for Nixery, and an
// edge in front: clients pull through the edge, and from the origin, which sends them to the bucket.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestOf } from "../../registry/naming/digest.ts";
import { endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import {
  ACCOUNT,
  type Emulator,
  missingEmulator,
  plantKey,
  startEmulator,
} from "../origin/storage/emulator.ts";
import { skipWhere } from "../skip-where.ts";
import { get, missingClient, pullManifest, skopeoCopy } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

const IMAGE = "hello";
const atEnd = endOfFile();

describe("an origin on a bucket", {
  ...skipWhere(await missingEmulator()),
  timeout: 240_000,
}, () => {
  let emulator: Emulator;
  let bucket: string;
  let scratch: string;
  let deployment: Deployment;
  let origin: Part;

  beforeAll(async () => {
    emulator = await startEmulator(atEnd);
    bucket = await emulator.makeBucket();
    scratch = await temporaryDirectory(atEnd);
    const nixery = {
      ...{ NIXERY_STORAGE_BACKEND: "gcs", GCS_BUCKET: bucket, NIX_TIMEOUT: "60" },
      GOOGLE_APPLICATION_CREDENTIALS: await plantKey(scratch),
    };
    // An origin that fills no edge has it ask for everything.
    const apart = { STORAGE_EMULATOR_HOST: emulator.url, NIXPORT_EDGE_URL: "http://127.0.0.1:9" };
    deployment = await deploy({ env: { ...nixery, ...apart } });
    [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  });
  afterAll(() => deployment?.close());

  test("has the edge answer, which gets blobs out of the bucket by itself", async () => {
    const { edgeUrl } = deployment;
    const { config, layers } = await pullManifest(edgeUrl, IMAGE);
    for (const { digest } of [config, ...layers]) {
      const response = await get(edgeUrl, `/v2/${IMAGE}/blobs/${digest}`);
      expect(await digestOf(await response.bytes())).toBe(digest);
    }
    const asked = origin.log.filter(({ path }) => String(path).includes("/blobs/"));
    // The config lies in no bucket: of what is pulled once it is composed, wherever it is asked for.
    const statuses = Map.groupBy(asked, ({ path }) => String(path).endsWith(config.digest));
    expect(statuses.get(true)?.map(({ status }) => status)).toStrictEqual([200]);
    expect(statuses.get(false)?.map(({ status }) => status)).toStrictEqual(layers.map(() => 307));
  });

  test("sends clients there at signed addresses, for GET and HEAD", async () => {
    const { originUrl } = deployment;
    const [layer] = (await pullManifest(originUrl, IMAGE)).layers;
    for (const method of ["GET", "HEAD"]) {
      const path = `/v2/${IMAGE}/blobs/${layer?.digest}`;
      const response = await get(originUrl, path, { method, redirect: "manual" });
      expect(response.status).toBe(307);
      const {
        origin: host,
        pathname,
        searchParams,
      } = new URL(response.headers.get("Location") ?? "");
      expect(host).toBe(emulator.url);
      expect(pathname).toBe(`/${bucket}/layers/${layer?.digest.slice(7)}`);
      expect(searchParams.get("X-Goog-Credential")?.startsWith(`${ACCOUNT}/`)).toBe(true);
    }
  });

  const without = skipWhere(missingClient("skopeo"));
  test("gives skopeo all of an image, at the origin itself", without, () => {
    const target = `dir:${join(scratch, "copied")}`;
    const { code, stderr } = skopeoCopy(deployment.originUrl, IMAGE, target);
    expect(code, stderr).toBe(0);
  });
});
