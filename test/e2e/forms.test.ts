// Which form programs get that nobody knows, and everybody where NIXPORT_ZSTD says so: at the edge and
// at the origin alone.

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { hidesHost } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { getPlainly, missingClient } from "./clients.ts";
import { startContainerd } from "./containerd.ts";
import { removeStorage } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { digestsByForm } from "./digest-table.ts";
import { plantPlainSet } from "./plain-set.ts";
import { startProxy } from "./proxy.ts";

const NAME = process.arch === "arm64" ? "arm64/greeting" : "greeting";
const GZIP_MAGIC = new Uint8Array([0x1f, 0x8b]);

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-forms-"));
});
afterAll(() => removeStorage(scratch));

async function start(env: Readonly<Record<string, string>>): Promise<Deployment> {
  const deployment = await deploy({ packages: await plantPlainSet(scratch), env });
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  return deployment;
}

describe("a program of anybody's", skipWhere(hidesHost), () => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await start({});
  });
  afterAll(() => deployment?.close());

  const AGENTS = [
    ...["Go-http-client/1.1", "go-containerregistry/v0.20.3", "python-requests/2.34.2"],
    ...["jib 3.4.4 jib-maven-plugin", "curl/7.88.1", "docker/20.10.24", "skopeo/1.9.3"],
  ];
  test.each([undefined, ...AGENTS])("that says %s of itself gets gzip", async (agent) => {
    for (const url of [deployment.edgeUrl, deployment.originUrl]) {
      const manifest = await getPlainly(`${url}/v2/${NAME}/manifests/latest`, "*/*", agent);
      const { layers } = JSON.parse(manifest) as {
        readonly layers: readonly { readonly mediaType: string; readonly digest: string }[];
      };
      for (const { mediaType, digest } of layers) {
        expect(mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip");
        const blob = await (await fetch(`${url}/v2/${NAME}/blobs/${digest}`)).bytes();
        expect(blob.slice(0, 2)).toStrictEqual(GZIP_MAGIC);
      }
    }
  });
});

const withoutContainerd = missingClient("containerd", "ctr");

describe("NIXPORT_ZSTD=never", skipWhere(withoutContainerd), () => {
  test("gives a client that reads zstd gzip, at the edge and at the origin alone", async () => {
    const deployment = await start({ NIXPORT_ZSTD: "never" });
    onTestFinished(() => deployment.close());
    const containerd = await startContainerd(join(scratch, "containerd"));
    onTestFinished(() => containerd.stop());
    const gzip = (await digestsByForm(deployment.originUrl, NAME)).get("oci-gzip");
    for (const url of [deployment.edgeUrl, deployment.originUrl]) {
      const proxy = await startProxy(url);
      onTestFinished(() => proxy.close());
      const { host, port } = new URL(proxy.url);
      const listing = await containerd.unpack(`${host}/${NAME}:latest`, `of-${port}`);
      expect(listing.has("bin/greeting")).toBe(true);
      const manifests = proxy.answers.filter(({ path }) => path.includes("/manifests/"));
      expect(new Set(manifests.map(({ digest }) => digest))).toStrictEqual(new Set([gzip]));
    }
  });
});
