// What a client sees, as one table of requests: cold, warm, and with the origin stopped.

import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import type { ComposedImage } from "../../../registry/image/compose.ts";
import { pinOf } from "../../registry/fixture.ts";
import { registryError } from "../fake-origin.ts";
import { imageOf, PACKINGS, type Stock, stockOf } from "../stock.ts";
import {
  blobPath,
  elsewhere,
  errorOf,
  manifestPath,
  operationsOf,
  type Pull,
  startWorld,
  type World,
} from "../world.ts";

const PIN = pinOf("a".repeat(40));
const ABSENT = `sha256:${"0".repeat(64)}`;
const CONFIGURED_TAG = "stored";

type Prior = "warm" | "origin has it" | "origin says 404" | "origin stopped";

interface Row {
  readonly title: string;
  readonly prior: Prior;
  readonly path: string | ((image: ComposedImage) => string);
  readonly pull?: Pull;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | RegExp | null>>;
  /** The error's code; absent for content. */
  readonly code?: string;
  /** What was read and written, behind the answer too. */
  readonly operations?: Readonly<Record<string, number>>;
}

const byDigest = ({ manifest }: ComposedImage) => manifestPath("git", manifest.digest);
const cold = { controls: { coldMemory: true } };

const ROWS: readonly Row[] = [
  {
    title: "GET /v2/ answers the version, uncached",
    prior: "warm",
    path: "/v2/",
    status: 200,
    headers: {
      "Docker-Distribution-API-Version": "registry/2.0",
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
      "Server-Timing": /^total;dur=/,
    },
    operations: {},
  },
  {
    title: "GET of referrers is an empty index, without any read",
    prior: "origin stopped",
    path: `/v2/git/referrers/${ABSENT}?artifactType=a/b`,
    status: 200,
    headers: {
      "Content-Type": "application/vnd.oci.image.index.v1+json",
      "OCI-Filters-Applied": "artifactType",
    },
    operations: {},
  },
  {
    title: "GET by tag is one read of KV",
    prior: "warm",
    path: manifestPath("git", CONFIGURED_TAG),
    status: 200,
    headers: {
      "Cache-Status": "nixport; hit; detail=kv",
      "Nixport-Pin": PIN,
      "Nixport-Packing": PACKINGS.zstd,
      "Cache-Control": "no-store, no-transform",
      Warning: null,
      Vary: "Accept, User-Agent, Nixport-Variant, Nixport-Platforms",
      "Server-Timing": /^kv;dur=[\d.]+, total;dur=/,
    },
    operations: { "kv.getWithMetadata": 1 },
  },
  {
    title: "GET by tag ignores the query that containerd adds",
    prior: "origin stopped",
    path: `${manifestPath("git", CONFIGURED_TAG)}?ns=example.org`,
    status: 200,
  },
  {
    title: "GET by tag of another spelling of the recipe is the same pointer",
    prior: "origin stopped",
    path: manifestPath("iana-etc/git/git", CONFIGURED_TAG),
    status: 200,
    operations: { "kv.getWithMetadata": 1 },
  },
  {
    title: "GET by tag of whatever the client has, by If-None-Match: *, is 304",
    prior: "origin stopped",
    path: manifestPath("git", CONFIGURED_TAG),
    pull: { headers: { "If-None-Match": "*" } },
    status: 304,
    headers: { "Content-Type": null, ETag: /^"sha256:/ },
  },
  {
    title: "GET by digest is one read of KV for a new isolate",
    prior: "origin stopped",
    path: byDigest,
    pull: cold,
    status: 200,
    headers: {
      "Cache-Status": "nixport; hit; detail=kv",
      "Cache-Control": "public, max-age=31536000, immutable, no-transform",
      "Content-Type": "application/vnd.oci.image.manifest.v1+json",
    },
    operations: { "kv.getWithMetadata": 1 },
  },
  {
    title: "GET by digest reads nothing once the isolate has it",
    prior: "origin stopped",
    path: byDigest,
    status: 200,
    headers: { "Cache-Status": "nixport; hit; detail=memory" },
    operations: {},
  },
  {
    title: "GET by tag that is not here comes from the origin, and is not written",
    prior: "origin has it",
    path: manifestPath("git", "elsewhere"),
    status: 200,
    headers: {
      "Cache-Status": "nixport; fwd=miss",
      "Nixport-Pin": PIN,
      "Nixport-Packing": "told-1.none",
    },
    operations: { "kv.getWithMetadata": 1, "kv.get": 1, "r2.get": 1 },
  },
  {
    title: "GET by tag that the origin does not know is its own 404",
    prior: "origin says 404",
    path: manifestPath("nosuchpackage", "v1"),
    status: 404,
    headers: { "Cache-Status": "nixport; fwd=miss", "Cache-Control": "no-store" },
    code: "MANIFEST_UNKNOWN",
  },
  {
    title: "GET by tag that is not here is 503 without the origin",
    prior: "origin stopped",
    path: manifestPath("nosuchpackage", "v1"),
    status: 503,
    headers: { "Retry-After": /^[1-9]/ },
    code: "UNAVAILABLE",
  },
  {
    title: "GET by digest that is not here is 503 without the origin",
    prior: "origin stopped",
    path: manifestPath("git", ABSENT),
    status: 503,
    code: "UNAVAILABLE",
  },
  {
    title: "GET by a digest of another algorithm is 404 without any read",
    prior: "origin stopped",
    path: manifestPath("git", `sha512:${"0".repeat(128)}`),
    status: 404,
    code: "MANIFEST_UNKNOWN",
    operations: {},
  },
  {
    title: "GET of a blob that is not here is 503 without the origin",
    prior: "origin stopped",
    path: `/v2/git/blobs/${ABSENT}`,
    status: 503,
    headers: { "Retry-After": /^[1-9]/ },
    code: "UNAVAILABLE",
  },
  {
    title: "GET of a blob that nobody has is the origin's 404",
    prior: "origin says 404",
    path: `/v2/git/blobs/${ABSENT}`,
    status: 404,
    code: "MANIFEST_UNKNOWN",
  },
  ...(
    [
      ["an upper-case name", manifestPath("UPPER/case", "latest"), 400, "NAME_INVALID"],
      ["a name of 300 characters", manifestPath("a".repeat(300), "latest"), 400, "NAME_INVALID"],
      ["a front word at the end", manifestPath("git/shell", "latest"), 400, "NAME_INVALID"],
      ["a tag that is none", manifestPath("git", "-x"), 404, "MANIFEST_UNKNOWN"],
      [
        "a tag of signatures",
        manifestPath("git", `sha256-${ABSENT.slice(7)}.sig`),
        404,
        "MANIFEST_UNKNOWN",
      ],
      ["a malformed digest", manifestPath("git", "sha256:bad"), 400, "DIGEST_INVALID"],
      ["a malformed subject", "/v2/git/referrers/sha256:bad", 400, "DIGEST_INVALID"],
      ["a malformed blob digest", "/v2/git/blobs/sha256:bad", 400, "DIGEST_INVALID"],
      ["a malformed percent-encoding", "/v2/git/manifests/%zz", 400, "NAME_INVALID"],
      ["a path without a route", "/v2/git/tags", 404, "NAME_UNKNOWN"],
      ["a path outside /v2/ that is no page", "/elsewhere", 404, "NAME_UNKNOWN"],
    ] as const
  ).map(([what, path, status, code]) => ({
    title: `GET of ${what} is refused without any read`,
    prior: "origin stopped" as const,
    path,
    status,
    code,
    operations: {},
  })),
  ...["PUT", "POST", "PATCH", "DELETE"].map((method) => ({
    title: `${method} of a manifest is refused without any read`,
    prior: "origin stopped" as const,
    path: manifestPath("git", CONFIGURED_TAG),
    pull: { method },
    status: 405,
    code: "UNSUPPORTED",
    headers: { Allow: "GET, HEAD" },
    operations: {},
  })),
];

describe("pulls", () => {
  let world: World;
  let stock: Stock;
  let image: ComposedImage;
  beforeAll(async () => {
    world = await startWorld();
    stock = await stockOf(["git"]);
    image = await imageOf(stock, "git");
    await world.backfill(stock, { tag: CONFIGURED_TAG, pin: PIN, repositories: ["git"] });
  });
  afterAll(() => world.close());

  test.for(ROWS)("$title", async (row) => {
    await arrange(world, image, row.prior);
    const asked = world.origin.asked.length;
    const path = typeof row.path === "string" ? row.path : row.path(image);
    const response = await world.pull(path, row.pull);
    expect(response.status).toBe(row.status);
    expect(response.headers.has("Cache-Status")).toBe(true);
    expect(response.headers.has("Server-Timing")).toBe(true);
    for (const [name, expected] of Object.entries(row.headers ?? {})) {
      if (expected instanceof RegExp) expect(response.headers.get(name) ?? "").toMatch(expected);
      else expect(response.headers.get(name), name).toBe(expected);
    }
    if (row.operations) expect(operationsOf(response)).toStrictEqual(row.operations);
    if (row.prior === "warm") expect(world.origin.asked).toHaveLength(asked);
    if (row.code !== undefined) expect((await errorOf(response)).code).toBe(row.code);
    else if (row.status === 200 && path.includes("/manifests/")) {
      expect(response.headers.get("Docker-Content-Digest")).toBe(image.manifest.digest);
      expect(response.headers.get("ETag")).toBe(`"${image.manifest.digest}"`);
      expect(await response.bytes()).toStrictEqual(Uint8Array.from(image.manifest.bytes));
    }
  });

  test.for([
    ["a tag", (): string => manifestPath("git", CONFIGURED_TAG)],
    ["a tag at the origin", (): string => manifestPath("git", "elsewhere")],
    ["a digest", (): string => byDigest(image)],
    ["a blob", (): string => blobPath(image.config.digest)],
    ["the ping", (): string => "/v2/"],
    ["an error", (): string => manifestPath("UPPER", "latest")],
  ] as const)("HEAD of %s has the headers of GET and no body", async ([, path]) => {
    await arrange(world, image, "origin has it");
    const got = await world.pull(path());
    const head = await world.pull(path(), { method: "HEAD" });
    expect(head.status).toBe(got.status);
    expect(await head.text()).toBe("");
    expect(stableHeaders(head)).toStrictEqual(stableHeaders(got));
  });

  test("a digest that is asked for over and over has the same answer each time", async () => {
    await arrange(world, image, "origin stopped");
    const controls = { ...elsewhere(), coldMemory: false, isolate: "hot" };
    const told = async () => {
      const response = await world.pull(byDigest(image), { controls });
      const { date, ...headers } = Object.fromEntries(response.headers);
      return { headers, bytes: await response.bytes() };
    };
    const [first, second, third] = [await told(), await told(), await told()];
    expect(first.headers["cache-status"]).toBe("nixport; hit; detail=kv");
    expect(second.headers["cache-status"]).toBe("nixport; hit; detail=memory");
    expect(second.headers["server-timing"]).toMatch(/^total;dur=/);
    expect(third).toStrictEqual(second);
  });

  test("the origin gets the edge's token and variant, and nothing of the client's", async () => {
    await arrange(world, image, "origin has it");
    world.origin.asked.length = 0;
    await world.pull(manifestPath("git", "headers"), {
      headers: {
        Accept: "application/vnd.docker.distribution.manifest.v2+json",
        Authorization: "Basic c2VjcmV0",
        Cookie: "a=b",
        "X-Forwarded-For": "192.0.2.1",
      },
    });
    const [asked] = world.origin.asked;
    assert(asked);
    expect(asked.method).toBe("GET");
    expect(asked.headers["nixport-variant"]).toBe("docker-gzip");
    expect(asked.headers.authorization ?? "").toMatch(/^Bearer /);
    // A coded body would be decoded on its way, and its digest would not be found.
    expect(asked.headers["accept-encoding"]).toBe("identity");
    expect(asked.headers.cookie).toBeUndefined();
    expect(asked.headers["x-forwarded-for"]).toBeUndefined();
  });
});

async function arrange(world: World, { manifest }: ComposedImage, prior: Prior): Promise<void> {
  if (prior === "origin stopped") await world.origin.stop();
  else await world.origin.start();
  world.origin.answering = () =>
    prior === "origin has it"
      ? {
          status: 200,
          headers: {
            "Content-Type": manifest.mediaType,
            "Docker-Content-Digest": manifest.digest,
            "Nixport-Pin": PIN,
            "Nixport-Packing": "told-1.none",
          },
          body: manifest.bytes,
        }
      : registryError(404, "MANIFEST_UNKNOWN", "no package nosuchpackage");
}

/** All but what differs from request to request. */
function stableHeaders({ headers }: Response): Record<string, string> {
  const volatile = [
    "date",
    "connection",
    "server-timing",
    "cache-status",
    "test-operations",
    "test-subrequests",
  ];
  return Object.fromEntries([...headers].filter(([name]) => !volatile.includes(name)));
}
