// What the origin answers over HTTP: one table of requests against a real server.

import { existsSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parseOutboxEntry } from "../../origin/backfill/entry.ts";
import { parsePopularity } from "../../origin/layers/popularity.ts";
import { CLIENT_HEADER, signRequest } from "../../registry/between/token.ts";
import { popularityBlob } from "../../registry/image/record.ts";
import { hexOf, packingIdOf } from "../registry/fixture.ts";
import { readMultipart } from "../registry/http/multipart.ts";
import { endOfFile, temporaryDirectory } from "./fixture.ts";
import { type House, type Pulled, plantSet, REPOSITORY_PREFIX, startHouse } from "./house.ts";
import { until } from "./images/gated-set.ts";

const SECRET = "the secret of the tests";
const ABSENT = `sha256:${hexOf("absent")}`;
const NAME = `${REPOSITORY_PREFIX}sh`;
const atEnd = endOfFile();
let house: House;
let image: Pulled;

beforeAll(async () => {
  house = await startHouse(atEnd, await plantSet(atEnd), await temporaryDirectory(atEnd));
  image = await house.pull("sh");
});

interface Row {
  readonly title: string;
  /** `@manifest` and `@blob` stand for the digests of the image. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly code?: string;
  readonly answers?: Readonly<Record<string, string | RegExp | null>>;
}

const OCI = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const DOCKER = "application/vnd.docker.distribution.manifest.v2+json";
const SHORT_LIVED = { "cache-control": /no-store/, vary: /^Accept, User-Agent, / };
const FOR_EVER = { "cache-control": /immutable/, vary: null };

const ROWS: readonly Row[] = [
  {
    ...{ title: "the ping", path: "/v2/", status: 200 },
    answers: { "docker-distribution-api-version": "registry/2.0", "content-length": "2" },
  },
  { title: "the ping without its slash", path: "/v2", status: 200 },
  {
    ...{ title: "the tags", path: `/v2/${NAME}/tags/list?n=5`, status: 200 },
    answers: { "content-type": "application/json", "cache-control": /no-store/ },
  },
  {
    ...{ title: "the referrers of a manifest", path: `/v2/${NAME}/referrers/@manifest` },
    status: 200,
    answers: { "content-type": INDEX, "oci-filters-applied": null, "content-length": "88" },
  },
  {
    ...{ title: "the referrers of nothing", path: `/v2/x/referrers/${ABSENT}?artifactType=a/b` },
    status: 200,
    answers: { "content-type": INDEX, "oci-filters-applied": "artifactType" },
  },
  {
    ...{ title: "a tag", path: `/v2/${NAME}/manifests/latest`, status: 200 },
    answers: {
      ...{ ...SHORT_LIVED, "content-type": OCI, "nixport-pin": /^path-/ },
      "nixport-packing": /^[\w.-]*zstd[\w.-]*\.[0-9a-f]{64}$/,
    },
  },
  { title: "a tag with a query", path: `/v2/${NAME}/manifests/latest?ns=docker.io`, status: 200 },
  {
    ...{ title: "a tag for Docker", path: `/v2/${NAME}/manifests/latest`, status: 200 },
    headers: { Accept: DOCKER },
    answers: { "content-type": DOCKER },
  },
  {
    ...{ title: "a tag the client has", path: `/v2/${NAME}/manifests/latest`, status: 304 },
    headers: { "If-None-Match": '"@manifest"' },
  },
  {
    ...{ title: "a tag that is something else now", path: `/v2/${NAME}/manifests/latest` },
    status: 412,
    headers: { "If-Match": `"${ABSENT}"` },
    answers: { "cache-control": "no-store", etag: /^"sha256:/ },
  },
  {
    ...{ title: "a blob as the client knows it", path: "/v2/x/blobs/@blob", status: 200 },
    headers: { "If-Match": '"@blob"' },
  },
  {
    ...{ title: "a blob as the client does not know it", path: "/v2/x/blobs/@blob" },
    ...{ status: 412, headers: { "If-Match": `W/"@blob"` } },
  },
  {
    ...{ title: "a digest", path: `/v2/${NAME}/manifests/@manifest`, status: 200 },
    answers: { ...FOR_EVER, "content-type": OCI },
  },
  {
    ...{ title: "a digest, whatever is accepted", path: "/v2/x/manifests/@manifest", status: 200 },
    headers: { Accept: DOCKER },
    answers: { "content-type": OCI },
  },
  {
    ...{ title: "a blob", path: `/v2/${NAME}/blobs/@blob`, status: 200 },
    answers: { ...FOR_EVER, "content-type": "application/octet-stream", "accept-ranges": "bytes" },
  },
  {
    ...{ title: "a part of a blob", path: "/v2/x/blobs/@blob", status: 206 },
    headers: { Range: "bytes=2-5" },
    answers: { "content-length": "4", "content-range": /^bytes 2-5\/\d+$/ },
  },
  {
    ...{ title: "the end of a blob", path: "/v2/x/blobs/@blob", status: 206 },
    headers: { Range: "bytes=-3" },
    answers: { "content-length": "3" },
  },
  {
    ...{ title: "a part behind the end", path: "/v2/x/blobs/@blob", status: 416 },
    headers: { Range: "bytes=99999999-" },
    answers: { "content-range": /^bytes \*\/\d+$/ },
  },
  {
    ...{ title: "several parts at once", path: "/v2/x/blobs/@blob", status: 206 },
    headers: { Range: "bytes=0-1,3-4" },
    answers: { "content-type": /^multipart\/byteranges; boundary=/ },
  },
  {
    ...{ title: "parts that overlap, in full", path: "/v2/x/blobs/@blob", status: 200 },
    headers: { Range: "bytes=0-3,3-4" },
  },
  {
    ...{ title: "a blob the client has", path: "/v2/x/blobs/@blob", status: 304 },
    headers: { "If-None-Match": '"@blob"' },
  },
  {
    title: "no compression",
    path: "/v2/x/blobs/@blob",
    status: 200,
    answers: { "content-encoding": null },
  },
  ...[
    ["an absent manifest", `/v2/x/manifests/${ABSENT}`, 404, "MANIFEST_UNKNOWN"],
    ["an absent blob", `/v2/x/blobs/${ABSENT}`, 404, "BLOB_UNKNOWN"],
    ["a manifest asked for as a blob", "/v2/x/blobs/@manifest", 404, "BLOB_UNKNOWN"],
    ["a blob asked for as a manifest", "/v2/x/manifests/@blob", 404, "MANIFEST_UNKNOWN"],
    [
      "a digest of another kind",
      `/v2/x/manifests/sha512:${hexOf("x")}${hexOf("x")}`,
      404,
      "MANIFEST_UNKNOWN",
    ],
    ["a malformed digest", "/v2/x/manifests/sha256:bad", 400, "DIGEST_INVALID"],
    ["a malformed blob digest", "/v2/x/blobs/bad", 400, "DIGEST_INVALID"],
    ["the tags of what is no package", "/v2/nosuchpackage/tags/list", 404, "NAME_UNKNOWN"],
    ["the tags of what is one in part", `/v2/${NAME}/nosuch/tags/list`, 404, "NAME_UNKNOWN"],
    ["a tag that is none", "/v2/x/manifests/-x", 404, "MANIFEST_UNKNOWN"],
    [
      "a tag of signatures",
      `/v2/nowhere/manifests/sha256-${hexOf("x")}.sig`,
      404,
      "MANIFEST_UNKNOWN",
    ],
    ["referrers of what is no digest", "/v2/x/referrers/latest", 400, "DIGEST_INVALID"],
    ["a tag the set does not have", `/v2/${NAME}/manifests/v1`, 404, "MANIFEST_UNKNOWN"],
    ["a random tag", `/v2/${NAME}/manifests/missing-abcdefghij`, 404, "MANIFEST_UNKNOWN"],
    ["upper case", "/v2/UPPER/case/manifests/latest", 400, "NAME_INVALID"],
    ["a long name", `/v2/${"a".repeat(300)}/manifests/latest`, 400, "NAME_INVALID"],
    ["a shell at the end", "/v2/git/shell/manifests/latest", 400, "NAME_INVALID"],
    ["another path", "/other", 404, "NAME_UNKNOWN"],
    ["the catalogue", "/v2/_catalog", 404, "NAME_UNKNOWN"],
    ["an ingest route", "/ingest/records", 404, "NAME_UNKNOWN"],
    ["a broken encoding", "/v2/%ff/manifests/latest", 400, "NAME_INVALID"],
  ].map(
    ([title, path, status, code]): Row => ({
      ...{ title: String(title), path: String(path), status: Number(status), code: String(code) },
      answers: { "cache-control": "no-store", "content-type": "application/json" },
    }),
  ),
];

function filledIn(text: string): string {
  const blob = image.manifest.layers[0]?.digest ?? "";
  return text.replace("@manifest", image.digest).replace("@blob", blob);
}

describe("the origin answers", { timeout: 60_000 }, () => {
  for (const { title, path, headers = {}, status, code, answers = {} } of ROWS) {
    test(`${status}${code ? ` ${code}` : ""} to GET and HEAD of ${title}`, async () => {
      const filled = Object.entries(headers).map(([name, value]) => [name, filledIn(value)]);
      const asked = { headers: Object.fromEntries(filled) };
      const get = await house.request(filledIn(path), asked);
      const body = await get.bytes();
      const head = await house.request(filledIn(path), { ...asked, method: "HEAD" });
      expect(get.status, String(body)).toBe(status);
      // Ranges are for GET alone (RFC 9110 §14.2): HEAD tells of the whole.
      const isRanged = "Range" in headers;
      expect(head.status).toBe(isRanged ? 200 : status);
      expect(await head.bytes()).toHaveLength(0);
      const without = ({ headers: all }: Response) =>
        [...all].filter(([name]) => !["date", "connection", "keep-alive"].includes(name));
      if (!isRanged) expect(without(head)).toStrictEqual(without(get));
      for (const [name, value] of Object.entries(answers)) {
        const sent = get.headers.get(name);
        if (value instanceof RegExp) expect(sent ?? "", name).toMatch(value);
        else expect(sent, name).toBe(value);
      }
      if (status !== 304) expect(get.headers.get("content-length")).toBe(String(body.length));
      expect(get.headers.get("transfer-encoding")).toBeNull();
      if (code !== undefined) {
        const { errors } = JSON.parse(String(Buffer.from(body)));
        expect(errors[0].code).toBe(code);
        expect(errors[0].message).not.toBe("");
      }
    });
  }

  test("the tags of a name without building it, and why there are none", async () => {
    house.forget();
    const listed = await house.request(`/v2/${REPOSITORY_PREFIX}hullo/tags/list`);
    expect(await listed.json()).toStrictEqual({
      ...{ name: `${REPOSITORY_PREFIX}hullo`, tags: ["latest"] },
    });
    expect(house.started.filter((program) => !program.startsWith("nix-instantiate"))).toStrictEqual(
      [],
    );
    const refused = await house.request(`/v2/${REPOSITORY_PREFIX}hulo/tags/list`);
    expect(await refused.text()).toMatch(/hulo.*did you mean.*hullo/);
  });

  test("that images cannot be listed to whoever asks for a list", async () => {
    const { errors } = (await (await house.request("/v2/_catalog?n=10")).json()) as {
      errors: { message: string }[];
    };
    expect(errors[0]?.message ?? "").toMatch(/^images cannot be listed/);
  });

  test("405, Allow and UNSUPPORTED to whoever wants to write", async () => {
    house.forget();
    const writes = [`/v2/${NAME}/manifests/latest`, "/v2/x/blobs/@blob", "/v2/x/blobs/uploads/"];
    for (const path of writes) {
      for (const method of ["PUT", "POST", "DELETE", "PATCH"]) {
        const response = await house.request(filledIn(path), { method });
        expect(response.status, `${method} ${path}`).toBe(405);
        expect(response.headers.get("Allow")).toBe("GET, HEAD");
        expect(await response.text()).toMatch(/"UNSUPPORTED"/);
      }
    }
    expect(house.started).toStrictEqual([]);
  });

  test("every part of a blob with the bytes that the whole has there", async () => {
    const path = filledIn("/v2/x/blobs/@blob");
    const whole = await (await house.request(path)).bytes();
    const part = await house.request(path, { headers: { Range: "bytes=7-60" } });
    expect(await part.bytes()).toStrictEqual(whole.slice(7, 61));
    const end = await house.request(path, { headers: { Range: "bytes=-5" } });
    expect(await end.bytes()).toStrictEqual(whole.slice(-5));
    const both = await house.request(path, { headers: { Range: "bytes=7-60,-5" } });
    const parts = readMultipart(both.headers.get("content-type"), await both.bytes());
    expect(parts.map(({ bytes }) => bytes)).toStrictEqual([whole.slice(7, 61), whole.slice(-5)]);
  });

  test("the popularity data of an image among its blobs, by what its packing names", async () => {
    const { headers } = await house.request(`/v2/${NAME}/manifests/latest`);
    const packing = packingIdOf(headers.get("Nixport-Packing") ?? "");
    const blob = await house.request(`/v2/${NAME}/blobs/${popularityBlob(packing)}`);
    const data = parsePopularity(await blob.text());
    assert(data.kind === "popularity");
    expect(data.popularity.id).toBe(packing.split(".").at(-1));
  });

  test("what it logs of a request: method, path, status", () => {
    const line = house.lines.find(({ msg }) => msg === "answered");
    assert(line !== undefined);
    for (const fact of ["method", "path", "status", "ms"]) expect(fact in line, fact).toBe(true);
  });
});

test("an origin for its edge alone answers no request without the edge's token", async () => {
  const closed = await startHouse(
    onTestFinished,
    await plantSet(onTestFinished),
    await temporaryDirectory(onTestFinished),
    {
      ...{ NIXPORT_ACCESS: "edge", NIXPORT_SECRET: SECRET },
    },
  );
  const keys = [{ id: "1", bytes: new TextEncoder().encode(SECRET) }];
  const path = `/v2/${NAME}/manifests/latest`;
  const ask = async (
    party: "edge" | "origin",
    method: string,
    signed: string,
    { client, told = client }: { readonly client?: string; readonly told?: string } = {},
  ) => {
    const token = await signRequest(keys, party, { method, path: signed, client }, Date.now());
    const headers = {
      Authorization: `Bearer ${token}`,
      ...(told !== undefined && { [CLIENT_HEADER]: told }),
    };
    const response = await closed.request(`${path}?ns=x`, { method, headers });
    await response.bytes();
    return response.status;
  };
  for (const bare of [path, "/v2/", `/v2/x/blobs/${ABSENT}`]) {
    const response = await closed.request(bare);
    expect(response.status, bare).toBe(401);
    expect(await response.text()).toMatch(/"UNAUTHORIZED"/);
  }
  expect(closed.started).toStrictEqual([]);
  expect(await ask("edge", "GET", "/v2/other/manifests/latest")).toBe(401);
  expect(await ask("origin", "GET", path)).toBe(401);
  expect(await ask("edge", "GET", path, { told: "192.0.2.7" })).toBe(401);
  expect(await ask("edge", "GET", path, { client: "192.0.2.7", told: "192.0.2.8" })).toBe(401);
  expect(await ask("edge", "GET", path)).toBe(200);
  expect(await ask("edge", "GET", path, { client: "192.0.2.7" })).toBe(200);
  expect(await ask("edge", "HEAD", path)).toBe(200);
});

test("an origin answers what it cannot keep for its edge, and keeps it when it can", async () => {
  const statePath = await temporaryDirectory(onTestFinished);
  const filling = await startHouse(onTestFinished, await plantSet(onTestFinished), statePath, {
    // Nobody listens there, so what is kept stays.
    ...{ NIXPORT_EDGE_URL: "http://127.0.0.1:1", NIXPORT_SECRET: SECRET },
  });
  const outbox = join(statePath, "origin/outbox");
  const path = `/v2/${NAME}/manifests/latest`;
  await writeFile(outbox, "in the way");
  expect((await filling.request(path)).status).toBe(200);
  expect(filling.lines.map(({ msg }) => msg)).toContain("an entry of the outbox is not on disk");
  await rm(outbox);
  expect((await filling.request(path)).status).toBe(200);
  expect(await readdir(outbox)).toHaveLength(1);
});

test("an origin gives its edge an image without the lookups that it could not keep", async () => {
  const statePath = await temporaryDirectory(onTestFinished);
  const filling = await startHouse(onTestFinished, await plantSet(onTestFinished), statePath, {
    // Nobody listens there, so what is kept stays.
    ...{ NIXPORT_EDGE_URL: "http://127.0.0.1:1", NIXPORT_SECRET: SECRET },
  });
  const [lookups, outbox] = [join(statePath, "origin/lookups"), join(statePath, "origin/outbox")];
  const pull = async (type: string) => {
    const headers = { Accept: `application/vnd.${type}+json` };
    const response = await filling.request(`/v2/${NAME}/manifests/latest`, { headers });
    expect(response.status).toBe(200);
  };
  await pull("docker.distribution.manifest.v2");
  const [before = ""] = await readdir(outbox);
  await rm(lookups, { recursive: true });
  await writeFile(lookups, "in the way");
  await pull("oci.image.manifest.v1");
  const packagesOf = async (entry: string) => {
    const parsed = parseOutboxEntry(await readFile(join(outbox, entry)));
    assert(parsed !== undefined && "packages" in parsed);
    return parsed.packages;
  };
  const after = (await readdir(outbox)).filter((entry) => entry !== before);
  expect(await packagesOf(before)).not.toStrictEqual([]);
  expect(await Promise.all(after.map(packagesOf))).toStrictEqual([[]]);
});

test("an origin knows what latest is before anyone asks", async () => {
  const statePath = await temporaryDirectory(onTestFinished);
  // Data of its own, since counting a set asks what latest is as well.
  const data = join(await temporaryDirectory(onTestFinished), "popularity.json");
  await writeFile(data, "{}");
  const variables = { NIX_POPULARITY_URL: pathToFileURL(data).href };
  await startHouse(onTestFinished, await plantSet(onTestFinished), statePath, variables);
  await until("latest is known", () => existsSync(join(statePath, "origin/pins")));
});
