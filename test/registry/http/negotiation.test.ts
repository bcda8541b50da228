// Accept and User-Agent to the form of an image, by the headers that real clients were seen to send.

import { describe, expect, test } from "vitest";
import { accepts, parseAccept } from "../../../registry/http/accept.ts";
import { CLIENTS, chooseVariant, VARIANT_HEADER } from "../../../registry/http/negotiation.ts";
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
  for (const [header, named] of rows) {
    test(`reads ${JSON.stringify(header)} as ${JSON.stringify(named)}`, () => {
      expect([...parseAccept(header)]).toStrictEqual(named);
    });
  }

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

describe("chooseVariant", () => {
  type Row = readonly [client: string, accept: string | null, agent: string | null, is: string];
  const recorded: readonly Row[] = [
    ["skopeo 1.9.3", CONTAINERS_ACCEPT, "skopeo/1.9.3", "oci-zstd"],
    [
      "podman 4.3.1",
      CONTAINERS_ACCEPT,
      "containers/5.23.1 (github.com/containers/image)",
      "oci-zstd",
    ],
    ["containerd 1.6.20", CONTAINERD_ACCEPT, "containerd/1.6.20~ds1", "oci-zstd"],
    [
      "containerd 1.6.20, which knows the digest",
      `${OCI_MANIFEST}, */*`,
      "containerd/1.6.20~ds1",
      "oci-zstd",
    ],
    ["dockerd 20.10.24", DOCKER_ACCEPT, DOCKER_20_AGENT, "oci-gzip"],
    [
      "docker build with dockerd 20.10.24",
      CONTAINERD_ACCEPT,
      "containerd/1.6.20+unknown",
      "oci-gzip",
    ],
    [
      "docker build with dockerd 20.10.24, which knows the digest",
      `${OCI_MANIFEST}, */*`,
      "containerd/1.6.20+unknown",
      "oci-gzip",
    ],
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
    [
      "an old docker client of a new engine",
      DOCKER_ACCEPT,
      dockerAgent("28.5.1").replace("Client/28", "Client/20"),
      "oci-zstd",
    ],
    ["containerd 2.1", CONTAINERD_ACCEPT, "containerd/2.1.9", "oci-zstd"],
    [
      "a program with containerd 1.7 in it",
      CONTAINERD_ACCEPT,
      "containerd/1.7.0+unknown",
      "oci-zstd",
    ],
    ["podman 5", CONTAINERS_ACCEPT, "containers/5.36.2 (github.com/containers/image)", "oci-zstd"],
    [
      "crane",
      [DOCKER_MANIFEST, DOCKER_LIST, OCI_INDEX, OCI_MANIFEST].join(","),
      "crane/0.20.3 go-containerregistry/0.20.3",
      "oci-zstd",
    ],
    ["curl", "*/*", "curl/7.88.1", "oci-zstd"],
    ["nothing at all", null, null, "oci-zstd"],
    ["a scanner of schema 2", DOCKER_MANIFEST, null, "docker-gzip"],
    ["a client of indexes only", `${DOCKER_LIST}, ${OCI_INDEX}`, null, "oci-zstd"],
    ["a client of OCI's index only", OCI_INDEX, null, "oci-zstd"],
    ["a client of Docker's list only", DOCKER_LIST, null, "docker-gzip"],
    ["a refusal of OCI's manifest", `${OCI_MANIFEST};q=0, ${DOCKER_MANIFEST}`, null, "docker-gzip"],
  ];
  for (const [client, accept, agent, variant] of [...recorded, ...derived]) {
    test(`gives ${variant} to ${client}`, () => {
      const headers = new Headers();
      if (accept !== null) headers.set("Accept", accept);
      if (agent !== null) headers.set("User-Agent", agent);
      expect(chooseVariant(headers)).toBe(variant);
    });
  }

  test("knows each of the recorded clients by the row of its version", () => {
    for (const [client, , agent] of recorded) {
      const row = CLIENTS.find(({ userAgent }) => userAgent.test(agent ?? ""));
      const version = /\d+\.\d+\.\d+/.exec(client)?.[0] ?? client;
      expect(row?.tried.split(", "), `${client}: ${row?.client} ${row?.tried}`).toContain(version);
    }
  });

  test("follows the edge, which names the variant that its client gets", () => {
    for (const variant of VARIANTS) {
      const headers = new Headers({ [VARIANT_HEADER]: variant, Accept: DOCKER_MANIFEST });
      expect(chooseVariant(headers)).toBe(variant);
    }
    const headers = new Headers({ [VARIANT_HEADER]: "docker-zstd", Accept: DOCKER_MANIFEST });
    expect(chooseVariant(headers)).toBe("docker-gzip");
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
