// Method and path to route: what clients of a pull registry may ask, and how everything else is
// refused; then the ingest routes.

import { assert, describe, expect, test } from "vitest";
import { RegistryError } from "../../../registry/http/error.ts";
import {
  type IngestRoute,
  ingestPath,
  isIngest,
  parseIngestRoute,
  parseRoute,
} from "../../../registry/http/route.ts";
import { digestOfText, hexOf } from "../fixture.ts";

const HEX = hexOf("content");
const DIGEST = digestOfText("content");

function urlOf(path: string): URL {
  return new URL(`https://registry.example${path}`);
}

/** A route in one line, or the code it is refused with. */
function said(parse: () => ReturnType<typeof parseRoute>): string {
  try {
    const route = parse();
    switch (route.kind) {
      case "ping":
        return "ping";
      case "blob":
        return `blob ${route.digest}`;
      case "tags":
        return `tags of ${route.repository}`;
      case "referrers":
        return "referrers";
      case "manifest": {
        const { reference } = route;
        const { architecture, packages } = route.recipe;
        const named = { tag: "", digest: "", ...reference };
        return `${[architecture ?? "any", ...packages].join("/")} ${reference.kind} ${named.tag}${named.digest}`;
      }
      default:
        return route satisfies never;
    }
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}

const GIT = "any/cacert/git/iana-etc tag latest";

describe("parseRoute", () => {
  const rows: readonly [path: string, route: string][] = [
    ["/v2", "ping"],
    ["/v2/", "ping"],
    ["/v2/?x=1", "ping"],
    ["/v2/git/manifests/latest", GIT],
    ["/v2/git/manifests/latest?ns=docker.io", GIT],
    ["/v2/git/manifests/latest?", GIT],
    ["/v2/htop/git/manifests/v1.0", "any/cacert/git/htop/iana-etc tag v1.0"],
    ["/v2/htop%2Fgit/manifests/v1", "any/cacert/git/htop/iana-etc tag v1"],
    ["/v2/%67it/manifests/l%61test", GIT],
    ["/v2%2Fgit%2Fmanifests%2Flatest", GIT],
    ["/%76%32/git/manifests/latest", GIT],
    [`/v2/git/manifests/${DIGEST}`, `any/cacert/git/iana-etc digest ${DIGEST}`],
    [`/v2/git/manifests/sha256%3A${HEX}`, `any/cacert/git/iana-etc digest ${DIGEST}`],
    [`/v2/git/blobs/${DIGEST}`, `blob ${DIGEST}`],
    [`/v2/git/blobs/${DIGEST}?ns=docker.io`, `blob ${DIGEST}`],
    ["/v2/manifests/manifests/manifests", "any/cacert/iana-etc/manifests tag manifests"],
    ["/v2/a/manifests/b/manifests/c", "any/a/b/cacert/iana-etc/manifests tag c"],
    [`/v2/blobs/manifests/x/blobs/${DIGEST}`, `blob ${DIGEST}`],
    ["/v2/htop/git/tags/list?n=10&last=a", "tags of htop/git"],
    ["/v2/tags/list/manifests/tags", "any/cacert/iana-etc/list/tags tag tags"],
    [`/v2/git/referrers/${DIGEST}`, "referrers"],
    [`/v2/git/referrers/${DIGEST}?artifactType=a/b`, "referrers"],
    [`/v2/git/referrers/sha512:${HEX}${HEX}`, "referrers"],
    ["/v2/referrers/manifests/referrers", "any/cacert/iana-etc/referrers tag referrers"],
    ["/v2/arm64/git/manifests/v1", "arm64/cacert/git/iana-etc tag v1"],
    ["/v2/amd64/git/manifests/v1", "amd64/cacert/git/iana-etc tag v1"],
    ["/v2/amd64/arm64/git/manifests/v1", "NAME_INVALID"],
    ["/v2/blobs/manifests/blobs", "any/blobs/cacert/iana-etc tag blobs"],

    ["/", "NAME_UNKNOWN"],
    ["/v1/git/manifests/latest", "NAME_UNKNOWN"],
    ["/v2x/git/manifests/latest", "NAME_UNKNOWN"],
    ["/v2/_catalog", "NAME_UNKNOWN"],
    ["/v2/git/tags/lists", "NAME_UNKNOWN"],
    ["/v2/Git/tags/list", "NAME_INVALID"],
    ["/v2/git", "NAME_UNKNOWN"],
    ["/v2/git/manifests", "NAME_UNKNOWN"],
    ["/v2/manifests/latest", "NAME_UNKNOWN"],
    ["/v2/git/manifests/latest/", "NAME_UNKNOWN"],
    ["/v2/git/manifests/a%2Fb", "NAME_UNKNOWN"],
    ["/.well-known/anything", "NAME_UNKNOWN"],

    ["/v2//manifests/latest", "NAME_INVALID"],
    ["/v2//git/manifests/latest", "NAME_INVALID"],
    ["/v2/UPPER/case/manifests/latest", "NAME_INVALID"],
    ["/v2/git/shell/manifests/latest", "NAME_INVALID"],
    [`/v2/UPPER/blobs/${DIGEST}`, "NAME_INVALID"],
    [`/v2/${"a".repeat(300)}/manifests/latest`, "NAME_INVALID"],
    [`/v2/${"a".repeat(100_000)}/manifests/latest`, "NAME_INVALID"],
    ["/v2/git%00/manifests/latest", "NAME_INVALID"],
    ["/v2/git%0Ahtop/manifests/latest", "NAME_INVALID"],
    ["/v2/g%C3%AEt/manifests/latest", "NAME_INVALID"],
    ["/v2/%2e%2e%2fetc/manifests/latest", "NAME_INVALID"],
    ["/v2/git/%/manifests/latest", "NAME_INVALID"],
    ["/v2/git/%ff/manifests/latest", "NAME_INVALID"],
    ["/v2/git/%zz/manifests/latest", "NAME_INVALID"],

    ["/v2/git/manifests/", "MANIFEST_UNKNOWN"],
    ["/v2/git/manifests/-x", "MANIFEST_UNKNOWN"],
    ["/v2/git/manifests/.INVALID_MANIFEST_NAME", "MANIFEST_UNKNOWN"],
    ["/v2/git/manifests/a%20b", "MANIFEST_UNKNOWN"],
    [`/v2/git/manifests/${"x".repeat(129)}`, "MANIFEST_UNKNOWN"],
    ...["", ".sig", ".att", ".sbom"].map((end): [string, string] => [
      `/v2/git/manifests/sha256-${HEX}${end}`,
      "MANIFEST_UNKNOWN",
    ]),
    [`/v2/git/manifests/sha512-${HEX}`, "MANIFEST_UNKNOWN"],
    [
      `/v2/git/manifests/sha256-${HEX.slice(1)}`,
      `any/cacert/git/iana-etc tag sha256-${HEX.slice(1)}`,
    ],

    ["/v2/git/manifests/sha256:baddigeststring", "DIGEST_INVALID"],
    [`/v2/git/manifests/sha256:${HEX.toUpperCase()}`, "DIGEST_INVALID"],
    [`/v2/git/manifests/sha512:${HEX}`, "DIGEST_INVALID"],
    ["/v2/git/manifests/a:", "DIGEST_INVALID"],
    ["/v2/git/blobs/", "DIGEST_INVALID"],
    ["/v2/git/blobs/latest", "DIGEST_INVALID"],
    ["/v2/git/blobs/sha256:x", "DIGEST_INVALID"],
    ["/v2/git/blobs/uploads", "DIGEST_INVALID"],
    ["/v2/git/referrers/latest", "DIGEST_INVALID"],
    ["/v2/git/referrers/sha256:x", "DIGEST_INVALID"],
    [`/v2/git/manifests/sha512:${HEX}${HEX}`, "MANIFEST_UNKNOWN"],
    [`/v2/git/blobs/sha512:${HEX}${HEX}`, "BLOB_UNKNOWN"],
  ];
  for (const [path, route] of rows) {
    test(`reads ${path.slice(0, 100)} as ${route}`, () => {
      for (const method of ["GET", "HEAD"]) {
        expect(
          said(() => parseRoute(method, urlOf(path))),
          method,
        ).toBe(route);
      }
    });
  }

  test("keeps the name as the client spelled it", () => {
    const route = parseRoute("GET", urlOf("/v2/shell/htop/git/manifests/latest"));
    assert(route.kind === "manifest");
    expect(route.repository).toBe("shell/htop/git");
  });

  test("never throws anything but a RegistryError", () => {
    const pieces = ["/v2/", "git", "/", "manifests", "%", "%2F", "blobs", ":", "..", DIGEST, "\\"];
    for (const a of pieces) {
      for (const b of pieces) {
        for (const c of pieces) said(() => parseRoute("GET", urlOf(`/${a}${b}${c}`)));
      }
    }
  });

  const writes: readonly [path: string, methods: readonly string[]][] = [
    ["/v2/", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"]],
    ["/v2/git/manifests/latest", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "get"]],
    [`/v2/git/manifests/${DIGEST}`, ["PUT", "DELETE"]],
    [`/v2/git/blobs/${DIGEST}`, ["PUT", "POST", "DELETE", "PATCH"]],
    ["/v2/git/blobs/uploads/", ["POST", "PUT", "PATCH", "DELETE"]],
    ["/v2/git/blobs/uploads/some-id?digest=x", ["POST", "PUT", "PATCH", "DELETE"]],
    ["/v2/UPPER/manifests/latest", ["PUT"]],
  ];
  for (const [path, methods] of writes) {
    test(`refuses ${methods.join(", ")} on ${path.slice(0, 60)} with 405 and Allow`, () => {
      for (const method of methods) {
        expect(() => parseRoute(method, urlOf(path))).toThrow(
          expect.objectContaining({
            ...{ code: "UNSUPPORTED", status: 405 },
            options: expect.objectContaining({ headers: { Allow: "GET, HEAD" } }),
          }),
        );
      }
    });
  }
});

describe("parseIngestRoute", () => {
  const uploadIds = [
    ...["plain", "AbC-123_~.", "with space", "a+b=c&d", "a/b//c", "50%", "%2F", "?q#f", "ü", "..."],
  ];
  const routes: readonly [method: string, path: string, route: IngestRoute][] = [
    ["PUT", ingestPath.blob(DIGEST), { kind: "blob", digest: DIGEST }],
    ["POST", ingestPath.uploads(DIGEST), { kind: "uploads", digest: DIGEST }],
    ["PUT", ingestPath.manifest(DIGEST), { kind: "manifest", digest: DIGEST }],
    ["POST", ingestPath.records, { kind: "records" }],
    ["POST", ingestPath.lookups, { kind: "lookups" }],
    ["POST", ingestPath.pointers, { kind: "pointers" }],
    ["POST", ingestPath.index, { kind: "index" }],
    ["POST", ingestPath.indexObjects, { kind: "index-objects" }],
    ["POST", ingestPath.indexPatches, { kind: "index-patches" }],
    ...uploadIds.flatMap((uploadId): [string, string, IngestRoute][] => [
      [
        "PUT",
        ingestPath.part(DIGEST, uploadId, 10_000),
        { kind: "part", digest: DIGEST, uploadId, partNumber: 10_000 },
      ],
      [
        "POST",
        ingestPath.complete(DIGEST, uploadId),
        { kind: "complete", digest: DIGEST, uploadId },
      ],
    ]),
  ];
  for (const [method, path, route] of routes) {
    test(`takes ${method} of ${path.slice(0, 16)}…${path.slice(87)} as ${route.kind}`, () => {
      const url = urlOf(path);
      expect(parseIngestRoute(method, url)).toStrictEqual(route);
      expect(isIngest(url)).toBe(true);
      for (const other of ["GET", "HEAD", "DELETE", method === "PUT" ? "POST" : "PUT"]) {
        expect(() => parseIngestRoute(other, url)).toThrow(
          expect.objectContaining({
            code: "UNSUPPORTED",
            options: { headers: { Allow: method } },
          }),
        );
      }
    });
  }

  const refused: readonly [path: string, code: string][] = [
    ["/ingest/", "NAME_UNKNOWN"],
    ["/ingest/anything", "NAME_UNKNOWN"],
    ["/ingest/records/more", "NAME_UNKNOWN"],
    [`/ingest/manifests/${DIGEST}/more`, "NAME_UNKNOWN"],
    [`/ingest/blobs/${DIGEST}/downloads`, "NAME_UNKNOWN"],
    [`/ingest/blobs/${DIGEST}/uploads/id/1/more`, "NAME_UNKNOWN"],
    ["/ingest/blobs/", "DIGEST_INVALID"],
    ["/ingest/blobs/latest", "DIGEST_INVALID"],
    ["/ingest/manifests/sha256:x", "DIGEST_INVALID"],
    [`/ingest/manifests/sha512:${HEX}${HEX}`, "DIGEST_INVALID"],
    ...["0", "10001", "01", "1.5", "-1", "x", "", "99999999"].map((part): [string, string] => [
      `/ingest/blobs/${DIGEST}/uploads/id/${part}`,
      "BLOB_UPLOAD_INVALID",
    ]),
    ["/ingest/%", "NAME_INVALID"],
  ];
  for (const [path, code] of refused) {
    test(`refuses ${path.slice(0, 16)}…${path.slice(87)} with ${code}`, () => {
      expect(() => parseIngestRoute("PUT", urlOf(path))).toThrow(expect.objectContaining({ code }));
    });
  }

  test("is asked about paths of its own only", () => {
    for (const path of ["/", "/ingest", "/v2/ingest/manifests/latest", "/ingestx/"]) {
      expect(isIngest(urlOf(path)), path).toBe(false);
    }
  });
});
