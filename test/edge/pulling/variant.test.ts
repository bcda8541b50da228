// Which form the edge asks the origin for, by what its client says of itself: with HEAD, with GET and
// by the digest that they gave.

import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { ComposedImage } from "../../../registry/image/compose.ts";
import type { Variant } from "../../../registry/image/variant.ts";
import { type FakeOrigin, registryError } from "../fake-origin.ts";
import { imageOf, stockOf } from "../stock.ts";
import { manifestPath, startWorld, type World } from "../world.ts";

/** An image for each form: all that tells them apart here is their digest. */
const images = new Map<string, ComposedImage>();
beforeAll(async () => {
  for (const variant of ["oci-zstd", "oci-gzip", "docker-gzip"]) {
    images.set(variant, await imageOf(await stockOf(["git"], `-${variant}`), "git"));
  }
});

function answerByForm(origin: FakeOrigin): void {
  origin.answering = ({ headers }) => {
    const image = images.get(String(headers["nixport-variant"]));
    if (image === undefined) return registryError(400, "UNSUPPORTED", "no form is named");
    const { bytes, digest, mediaType } = image.manifest;
    const named = { "Content-Type": mediaType, "Docker-Content-Digest": digest };
    return { status: 200, headers: named, body: bytes };
  };
}

/** Unlike fetch, which always says that it is Node, it may say nothing of itself. */
async function ask(
  world: World,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<IncomingMessage> {
  const asked = request(world.edge.url + path, { method, headers }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  return response;
}

const OCI = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
const DOCKER = "application/vnd.docker.distribution.manifest.v2+json";

/** Without an agent a client says nothing of itself. */
const ROWS: readonly (readonly [agent: string | null, accept: string, variant: Variant])[] = [
  [null, OCI, "oci-gzip"],
  [null, "*/*", "oci-gzip"],
  [null, DOCKER, "docker-gzip"],
  ["Go-http-client/1.1", OCI, "oci-gzip"],
  ["python-requests/2.34.2", "*/*", "oci-gzip"],
  ["curl/7.88.1", "*/*", "oci-gzip"],
  ["jib 3.4.4 jib-maven-plugin", OCI, "oci-gzip"],
  ["go-containerregistry/v0.20.3", OCI, "oci-gzip"],
  ["umoci/0.4.7", OCI, "oci-gzip"],
  ["skopeo/1.9.3", OCI, "oci-gzip"],
  ["skopeo/1.18.0", OCI, "oci-gzip"],
  ["containers/5.34.2 (github.com/containers/image)", OCI, "oci-zstd"],
  ["containers/5.34.2 (github.com/containers/image)", DOCKER, "docker-gzip"],
  ["docker/20.10.24+dfsg1 go/go1.19.8", OCI, "oci-gzip"],
  ["docker/28.5.1 go/go1.24", OCI, "oci-zstd"],
  ["containerd/1.6.20~ds1", OCI, "oci-zstd"],
];

describe("an edge that knows its clients", () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld();
    answerByForm(world.origin);
  });
  afterAll(() => world.close());

  test.each(ROWS)("answers %s with Accept %s by %s, by tag and by digest alike", async (...row) => {
    const [agent, accept, variant] = row;
    const headers = { Accept: accept, ...(agent !== null && { "User-Agent": agent }) };
    const digest = images.get(variant)?.manifest.digest ?? "";
    for (const reference of ["latest", digest]) {
      for (const method of ["HEAD", "GET"]) {
        const answer = await ask(world, method, manifestPath("git", reference), headers);
        expect(answer.statusCode, `${method} ${reference}`).toBe(200);
        expect(answer.headers["docker-content-digest"]).toBe(digest);
      }
    }
  });

  test("says which headers its answer depends on", async () => {
    const { headers } = await ask(world, "GET", manifestPath("git", "latest"), { Accept: OCI });
    expect(headers.vary).toBe("Accept, User-Agent, Nixport-Variant, Nixport-Platforms");
  });
});

// A word that nobody knows is read as the form that everybody reads.
test.each(["never", "sometimes"])("an edge with NIXPORT_ZSTD=%s gives nobody zstd", async (use) => {
  const world = await startWorld({ zstd: use as "never" });
  onTestFinished(() => world.close());
  answerByForm(world.origin);
  for (const [agent, accept, variant] of ROWS) {
    const headers = { Accept: accept, ...(agent !== null && { "User-Agent": agent }) };
    const answer = await ask(world, "GET", manifestPath("git", "latest"), headers);
    const digest = images.get(variant.replace("zstd", "gzip"))?.manifest.digest;
    expect(answer.headers["docker-content-digest"], `${agent}`).toBe(digest);
  }
  const isTold = world.log.some((line) => /NIXPORT_ZSTD: one of known, never/.test(line));
  expect(isTold).toBe(use === "sometimes");
});
