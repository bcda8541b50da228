// Accept and User-Agent to the form of an image, by the headers that real clients were seen to send.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accepts, parseAccept } from "../../registry/accept.ts";
import { DOCKER_MANIFEST, isManifestType, OCI_MANIFEST } from "../../registry/media-type.ts";
import { chooseVariant, VARIANT_HEADER, VARIANT_TYPES, VARIANTS } from "../../registry/variant.ts";

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
  for (const [header, named] of rows) {
    test(`reads ${JSON.stringify(header)} as ${JSON.stringify(named)}`, () => {
      assert.deepEqual([...parseAccept(header)], named);
    });
  }

  test("reads the first 64 ranges of a header that never ends", () => {
    const header = Array.from({ length: 1000 }, (_, index) => `a/${index}`).join(",");
    assert.equal(parseAccept(header).size, 64);
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
      assert.equal(accepts(parseAccept(header), mediaType), isAccepted);
    });
  }
});

describe("chooseVariant", () => {
  const containers = [
    ...[
      OCI_MANIFEST,
      DOCKER_MANIFEST,
      SCHEMA_1,
      "application/vnd.docker.distribution.manifest.v1+json",
    ],
    ...[DOCKER_LIST, OCI_INDEX],
  ].join(", ");
  const docker = [
    ...[OCI_MANIFEST, OCI_INDEX, SCHEMA_1, "application/json", DOCKER_MANIFEST, DOCKER_LIST],
  ].join(", ");
  const dockerAgent = (version: string) =>
    `docker/${version} go/go1.19.8 git-commit/5d6db84 kernel/6.1.0-28-amd64 os/linux arch/amd64 ` +
    `UpstreamClient(Docker-Client/${version} \\(linux\\))`;
  const containerd = [DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX, "*/*"].join(", ");

  const rows: readonly [client: string, accept: string | null, agent: string | null, is: string][] =
    [
      [
        "docker 17.09",
        `${SCHEMA_1}, ${DOCKER_MANIFEST}, ${DOCKER_LIST}`,
        dockerAgent("17.09.1-ce"),
        "docker-gzip",
      ],
      ["docker 19.03", docker, dockerAgent("19.03.15"), "oci-gzip"],
      ["docker 20.10", docker, dockerAgent("20.10.24+dfsg1"), "oci-gzip"],
      ["docker 22.06", docker, dockerAgent("22.06.0-beta.0"), "oci-gzip"],
      ["docker 23", docker, dockerAgent("23.0.0"), "oci-zstd"],
      ["docker 28", docker, dockerAgent("28.5.1"), "oci-zstd"],
      ["docker 100", docker, dockerAgent("100.0.0"), "oci-zstd"],
      [
        "an old docker client of a new engine",
        docker,
        dockerAgent("28.5.1").replace("Client/28", "Client/20"),
        "oci-zstd",
      ],
      ["containerd 1.6", containerd, "containerd/1.6.20~ds1", "oci-zstd"],
      ["containerd 2.1", containerd, "containerd/2.1.9", "oci-zstd"],
      ["containerd fetching by digest", `${OCI_MANIFEST}, */*`, "containerd/2.1.9", "oci-zstd"],
      ["podman 5", containers, "containers/5.36.2 (github.com/containers/image)", "oci-zstd"],
      ["skopeo 1.9", containers, "skopeo/1.9.3", "oci-zstd"],
      [
        "crane",
        [DOCKER_MANIFEST, DOCKER_LIST, OCI_INDEX, OCI_MANIFEST].join(","),
        "crane/0.20.3 go-containerregistry/0.20.3",
        "oci-zstd",
      ],
      ["curl", "*/*", "curl/7.88.1", "oci-zstd"],
      ["nothing at all", null, null, "oci-zstd"],
      ["a scanner of schema 2", DOCKER_MANIFEST, null, "docker-gzip"],
      ["a client of indexes only", `${OCI_INDEX}, ${DOCKER_LIST}`, null, "docker-gzip"],
      ["a refusal of OCI", `${OCI_MANIFEST};q=0, ${DOCKER_MANIFEST}`, null, "docker-gzip"],
    ];
  for (const [client, accept, agent, variant] of rows) {
    test(`gives ${variant} to ${client}`, () => {
      const headers = new Headers();
      if (accept !== null) headers.set("Accept", accept);
      if (agent !== null) headers.set("User-Agent", agent);
      assert.equal(chooseVariant(headers), variant);
    });
  }

  test("follows the edge, which names the variant that its client gets", () => {
    for (const variant of VARIANTS) {
      const headers = new Headers({ [VARIANT_HEADER]: variant, Accept: DOCKER_MANIFEST });
      assert.equal(chooseVariant(headers), variant);
    }
    const headers = new Headers({ [VARIANT_HEADER]: "docker-zstd", Accept: DOCKER_MANIFEST });
    assert.equal(chooseVariant(headers), "docker-gzip");
  });

  test("names media types of one family for each variant", () => {
    for (const variant of VARIANTS) {
      const { form, manifest, config, layer } = VARIANT_TYPES[variant];
      const family = variant.startsWith("oci") ? "application/vnd.oci." : "application/vnd.docker.";
      for (const type of [manifest, config, layer]) assert(type.startsWith(family), type);
      assert(layer.endsWith(form), layer);
      assert(isManifestType(manifest));
    }
    assert(!isManifestType(OCI_INDEX));
  });
});
