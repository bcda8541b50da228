// Accept and User-Agent to the form of an image, by the headers that real clients were seen to send.

import { describe, expect, test } from "vitest";
import { accepts, parseAccept } from "../../../registry/http/accept.ts";
import { clientOf } from "../../../registry/http/clients.ts";
import {
  chooseVariant,
  parseZstdUse,
  VARIANT_HEADER,
  ZSTD_USES,
} from "../../../registry/http/negotiation.ts";
import {
  DOCKER_MANIFEST,
  isIndexType,
  isManifestType,
  OCI_MANIFEST,
} from "../../../registry/image/media-type.ts";
import { VARIANT_TYPES, VARIANTS } from "../../../registry/image/variant.ts";

const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
const SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";

describe("parseAccept", () => {
  const rows: readonly [header: string | null, named: readonly string[]][] = [
    [null, ["*/*"]],
    ["", ["*/*"]],
    ["  ", ["*/*"]],
    ["*/*", ["*/*"]],
    [`${OCI_MANIFEST}, ${OCI_INDEX}`, [OCI_MANIFEST, OCI_INDEX]],
    [`${OCI_MANIFEST},${OCI_MANIFEST}`, [OCI_MANIFEST]],
    ["Application/JSON", ["application/json"]],
    ["a/b;q=0.5, c/d ; q=1", ["a/b", "c/d"]],
    ["a/b;q=0, c/d;q=0.0, e/f;q=0.000, g/h", ["g/h"]],
    ["a/b; Q=0", []],
    ["a/b;charset=utf-8;q=0.001", ["a/b"]],
    [",, ,a/b,", ["a/b"]],
  ];
  test.for(rows)("reads %j as %j", ([header, named]) => {
    expect([...parseAccept(header)]).toStrictEqual(named);
  });

  test("reads the first 64 ranges of a header that never ends", () => {
    const header = Array.from({ length: 1000 }, (_, index) => `a/${index}`).join(",");
    expect(parseAccept(header).size).toBe(64);
  });
});

describe("accepts", () => {
  const rows: readonly [header: string, mediaType: string, isAccepted: boolean][] = [
    [OCI_MANIFEST, OCI_MANIFEST, true],
    ["*/*", OCI_MANIFEST, true],
    ["application/*", OCI_MANIFEST, true],
    ["text/*", OCI_MANIFEST, false],
    [OCI_INDEX, OCI_MANIFEST, false],
    ["application/vnd.oci.image.manifest", OCI_MANIFEST, false],
  ];
  for (const [header, mediaType, isAccepted] of rows) {
    test(`${header} ${isAccepted ? "covers" : "does not cover"} ${mediaType}`, () => {
      expect(accepts(parseAccept(header), mediaType)).toBe(isAccepted);
    });
  }
});

// The headers of requests for a manifest, as the clients sent them to a server that wrote them down.
// Docker's engine puts the types of its list in another order with every start.
const CONTAINERS_ACCEPT =
  `${OCI_MANIFEST}, ${DOCKER_MANIFEST}, ${SCHEMA_1}, ` +
  `application/vnd.docker.distribution.manifest.v1+json, ${DOCKER_LIST}, ${OCI_INDEX}`;
const CONTAINERD_ACCEPT = `${DOCKER_MANIFEST}, ${DOCKER_LIST}, ${OCI_MANIFEST}, ${OCI_INDEX}, */*`;
const DOCKER_ACCEPT =
  `${DOCKER_MANIFEST}, ${DOCKER_LIST}, ${OCI_INDEX}, ${SCHEMA_1}, application/json, ` +
  `${OCI_MANIFEST}`;
const DOCKER_20_AGENT =
  "docker/20.10.24+dfsg1 go/go1.19.8 git-commit/5d6db84 kernel/6.18.44-fc-v657 os/linux " +
  "arch/amd64 UpstreamClient(Docker-Client/28.2.2 \\(linux\\))";

interface Asked {
  readonly accept: string | null;
  readonly agent: string | null;
}

function headersOf({ accept, agent }: Asked): Headers {
  const headers = new Headers();
  if (accept !== null) headers.set("Accept", accept);
  if (agent !== null) headers.set("User-Agent", agent);
  return headers;
}

describe("chooseVariant", () => {
  type Row = readonly [client: string, accept: string | null, agent: string | null, is: string];
  const containersAgent = (version: string) =>
    `containers/${version} (github.com/containers/image)`;
  const recorded: readonly Row[] = [
    ["skopeo 1.9.3", CONTAINERS_ACCEPT, "skopeo/1.9.3", "oci-gzip"],
    [
      "podman 4.3.1, by its library 5.23.1",
      CONTAINERS_ACCEPT,
      containersAgent("5.23.1"),
      "oci-gzip",
    ],
    ["buildah 1.28.2", CONTAINERS_ACCEPT, "Buildah/1.28.2", "oci-gzip"],
    ["containerd 1.6.20", CONTAINERD_ACCEPT, "containerd/1.6.20~ds1", "oci-zstd"],
    [
      "containerd 1.6.20, which knows the digest",
      `${OCI_MANIFEST}, */*`,
      "containerd/1.6.20~ds1",
      "oci-zstd",
    ],
    ["dockerd 20.10.24", DOCKER_ACCEPT, DOCKER_20_AGENT, "oci-gzip"],
    [
      "docker build with dockerd 20.10.24, by its containerd 1.6.20",
      CONTAINERD_ACCEPT,
      "containerd/1.6.20+unknown",
      "oci-gzip",
    ],
    [
      "docker build with dockerd 20.10.24, which knows the digest, by its containerd 1.6.20",
      `${OCI_MANIFEST}, */*`,
      "containerd/1.6.20+unknown",
      "oci-gzip",
    ],
    [
      "docker-registry 2.8.2 as a cache of others",
      `application/json, ${DOCKER_ACCEPT}`,
      "Go-http-client/1.1",
      "oci-gzip",
    ],
    ["skopeo 1.22.0", CONTAINERS_ACCEPT, "skopeo/1.22.0", "oci-gzip"],
    ["podman 5.4, by its library 5.34.2", CONTAINERS_ACCEPT, containersAgent("5.34.2"), "oci-zstd"],
    ["podman 5.8, by its library 5.39.2", CONTAINERS_ACCEPT, containersAgent("5.39.2"), "oci-zstd"],
    ["buildah 1.39.3", CONTAINERS_ACCEPT, "Buildah/1.39.3", "oci-zstd"],
    ["containerd 2.1.9", CONTAINERD_ACCEPT, "containerd/2.1.9+unknown", "oci-zstd"],
    ["docker build with dockerd 28.5.2", CONTAINERD_ACCEPT, "buildkit/v0.0-dev", "oci-gzip"],
    ["containerd 1.7.24", CONTAINERD_ACCEPT, "containerd/1.7.24~ds1", "oci-zstd"],
    ["crane of Debian, 0.20.7", `${OCI_MANIFEST},${OCI_INDEX}`, "go-containerregistry", "oci-gzip"],
    ["requests 2.34.2 of Python", "*/*", "python-requests/2.34.2", "oci-gzip"],
    ["curl 7.88.1", "*/*", "curl/7.88.1", "oci-gzip"],
  ];

  const dockerAgent = (version: string) => DOCKER_20_AGENT.replace("20.10.24+dfsg1", version);
  const derived: readonly Row[] = [
    [
      "docker 17.09",
      `${SCHEMA_1}, ${DOCKER_MANIFEST}, ${DOCKER_LIST}`,
      dockerAgent("17.09.1-ce"),
      "docker-gzip",
    ],
    ["docker 1.13", DOCKER_ACCEPT, dockerAgent("1.13.1"), "oci-gzip"],
    ["docker 19.03", DOCKER_ACCEPT, dockerAgent("19.03.15"), "oci-gzip"],
    ["docker 22.06", DOCKER_ACCEPT, dockerAgent("22.06.0-beta.0"), "oci-gzip"],
    ["docker 23", DOCKER_ACCEPT, dockerAgent("23.0.0"), "oci-zstd"],
    ["docker 28", DOCKER_ACCEPT, dockerAgent("28.5.1"), "oci-zstd"],
    ["docker 100", DOCKER_ACCEPT, dockerAgent("100.0.0"), "oci-zstd"],
    ["a docker of no version", DOCKER_ACCEPT, "docker/dev go/go1.24", "oci-gzip"],
    [
      "an old docker client of a new engine",
      DOCKER_ACCEPT,
      dockerAgent("28.5.1").replace("Client/28", "Client/20"),
      "oci-zstd",
    ],
    ["containerd 1.4", CONTAINERD_ACCEPT, "containerd/v1.4.13", "oci-gzip"],
    ["containerd 1.5", CONTAINERD_ACCEPT, "containerd/v1.5.0", "oci-zstd"],
    ["containerd 2.1", CONTAINERD_ACCEPT, "containerd/2.1.9", "oci-zstd"],
    ["k3s", CONTAINERD_ACCEPT, "containerd/v1.7.23-k3s2", "oci-zstd"],
    [
      "a program with containerd 1.5 in it",
      CONTAINERD_ACCEPT,
      "containerd/1.5.9+unknown",
      "oci-gzip",
    ],
    [
      "a program with containerd 1.7 in it",
      CONTAINERD_ACCEPT,
      "containerd/1.7.0+unknown",
      "oci-zstd",
    ],
    ["BuildKit 0.11", CONTAINERD_ACCEPT, "buildkit/v0.11", "oci-gzip"],
    ["BuildKit 0.12 in moby", CONTAINERD_ACCEPT, "buildkit/v0.12 moby/v25.0", "oci-zstd"],
    ["podman 4.7", CONTAINERS_ACCEPT, containersAgent("5.28.0"), "oci-gzip"],
    ["podman 4.8", CONTAINERS_ACCEPT, containersAgent("5.29.0"), "oci-zstd"],
    ["skopeo 1.13", CONTAINERS_ACCEPT, "skopeo/1.13.3", "oci-gzip"],
    ["skopeo 1.14", CONTAINERS_ACCEPT, "skopeo/1.14.0", "oci-gzip"],
    ["skopeo 100", CONTAINERS_ACCEPT, "skopeo/100.0.0", "oci-gzip"],
    ["buildah 1.32", CONTAINERS_ACCEPT, "Buildah/1.32.2", "oci-gzip"],
    ["buildah 1.33", CONTAINERS_ACCEPT, "Buildah/1.33.0", "oci-zstd"],
    ["cri-o 1.28", CONTAINERS_ACCEPT, "cri-o/1.28.4 go/go1.21 os/linux arch/amd64", "oci-gzip"],
    ["cri-o 1.29", CONTAINERS_ACCEPT, "cri-o/1.29.0 go/go1.21 os/linux arch/amd64", "oci-zstd"],
    [
      "crane",
      [DOCKER_MANIFEST, DOCKER_LIST, OCI_INDEX, OCI_MANIFEST].join(","),
      "crane/0.20.3 go-containerregistry/0.20.3",
      "oci-gzip",
    ],
    ["kaniko", `${OCI_MANIFEST},${OCI_INDEX}`, "go-containerregistry/v0.20.3", "oci-gzip"],
    [
      "Jib",
      `${OCI_MANIFEST},${OCI_INDEX}`,
      "jib 3.4.4 jib-maven-plugin Google Cloud Build",
      "oci-gzip",
    ],
    ["a browser", "text/html,*/*;q=0.8", "Mozilla/5.0 docker/28.5.1", "oci-gzip"],
    ["nothing at all", null, null, "oci-gzip"],
    ["an agent of no words", OCI_MANIFEST, "", "oci-gzip"],
    ["a scanner of schema 2", DOCKER_MANIFEST, null, "docker-gzip"],
    ["an engine that asks for schema 2", DOCKER_MANIFEST, dockerAgent("28.5.1"), "docker-gzip"],
    ["a client of indexes only", `${DOCKER_LIST}, ${OCI_INDEX}`, null, "oci-gzip"],
    ["a client of OCI's index only", OCI_INDEX, "containerd/2.1.9", "oci-zstd"],
    ["a client of Docker's list only", DOCKER_LIST, null, "docker-gzip"],
    ["a refusal of OCI's manifest", `${OCI_MANIFEST};q=0, ${DOCKER_MANIFEST}`, null, "docker-gzip"],
  ];
  test.each([...recorded, ...derived])("%s with Accept %s as %s gets %s", (...row) => {
    const [, accept, agent, variant] = row;
    expect(chooseVariant(headersOf({ accept, agent }), "known")).toBe(variant);
  });

  test.each([...recorded, ...derived])("%s gets no zstd where nobody does", (...row) => {
    const [, accept, agent, variant] = row;
    const without = variant.replace("zstd", "gzip");
    expect(chooseVariant(headersOf({ accept, agent }), "never")).toBe(without);
  });

  test.each(recorded)("knows %s by the row that it was tried for", (client, accept, agent) => {
    const { tried } = clientOf(headersOf({ accept, agent }));
    const versions = client.match(/\d+(?:\.\d+)+/g) ?? [];
    expect(tried.split(/, | /)).toContain(versions.at(-1));
  });

  test.each(ZSTD_USES)("follows the edge, which names what its client gets, with %s", (zstd) => {
    for (const variant of VARIANTS) {
      const headers = new Headers({ [VARIANT_HEADER]: variant, Accept: DOCKER_MANIFEST });
      expect(chooseVariant(headers, zstd)).toBe(variant);
    }
    const headers = new Headers({ [VARIANT_HEADER]: "docker-zstd", Accept: DOCKER_MANIFEST });
    expect(chooseVariant(headers, zstd)).toBe("docker-gzip");
  });

  test("names media types of one family for each variant", () => {
    for (const variant of VARIANTS) {
      const { form, index, manifest, config, layer } = VARIANT_TYPES[variant];
      const family = variant.startsWith("oci") ? "application/vnd.oci." : "application/vnd.docker.";
      for (const type of [index, manifest, config, layer])
        expect(type.startsWith(family), type).toBe(true);
      expect(layer.endsWith(form), layer).toBe(true);
      expect(isManifestType(manifest) && !isIndexType(manifest)).toBe(true);
      expect(isManifestType(index) && isIndexType(index)).toBe(true);
    }
    expect(isManifestType(VARIANT_TYPES["oci-zstd"].config)).toBe(false);
  });
});

describe("parseZstdUse", () => {
  test.each([
    [undefined, "known"],
    ["", "known"],
    ["known", "known"],
    ["never", "never"],
    ["always", undefined],
    ["Never", undefined],
  ])("reads %s as %s", (text, use) => {
    expect(parseZstdUse(text)).toBe(use);
  });
});
