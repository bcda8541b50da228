// How stored bytes are answered: ranges, conditions, headers.

import { describe, expect, test } from "vitest";
import { manifestResponse, planBlob } from "../../../registry/http/content.ts";
import { requestedRange } from "../../../registry/http/ranges.ts";
import { OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { digestOfText } from "../fixture.ts";

const DIGEST = digestOfText("content");
const ETAG = `"${DIGEST}"`;
const OTHER = `"${digestOfText("other")}"`;
const get = (headers: Readonly<Record<string, string>> = {}) => ({
  ...{ method: "GET", headers: new Headers(headers) },
});
const blob = (sizeBytes: number) => ({ digest: DIGEST, sizeBytes });

describe("planBlob", () => {
  const ranges: readonly [
    range: string,
    sizeBytes: number,
    answer: "whole" | "unsatisfiable" | readonly [offset: number, length: number],
  ][] = [
    ["bytes=0-0", 100, [0, 1]],
    ["bytes=0-1", 100, [0, 2]],
    ["bytes=0-99", 100, [0, 100]],
    ["bytes=0-100", 100, [0, 100]],
    ["bytes=0-999999999999", 100, [0, 100]],
    ["bytes=1-9223372036854775807", 100, [1, 99]],
    [`bytes=1-${"9".repeat(400)}`, 100, [1, 99]],
    [`bytes=-${"9".repeat(400)}`, 100, [0, 100]],
    ["bytes=99-99", 100, [99, 1]],
    ["bytes=10-19", 100, [10, 10]],
    ["bytes=0-", 100, [0, 100]],
    ["bytes=40-", 100, [40, 60]],
    ["bytes=99-", 100, [99, 1]],
    ["bytes=-1", 100, [99, 1]],
    ["bytes=-100", 100, [0, 100]],
    ["bytes=-101", 100, [0, 100]],
    ["Bytes= 10-19 ", 100, [10, 10]],
    ["bytes=000-001", 100, [0, 2]],
    ["bytes=100-", 100, "unsatisfiable"],
    ["bytes=100-200", 100, "unsatisfiable"],
    [`bytes=${"9".repeat(400)}-`, 100, "unsatisfiable"],
    ["bytes=9223372036854775806-9223372036854775807", 100, "unsatisfiable"],
    ["bytes=-0", 100, "unsatisfiable"],
    ["bytes=0-", 0, "unsatisfiable"],
    ["bytes=-1", 0, "unsatisfiable"],
    ["bytes=20-10", 100, "whole"],
    ["bytes=-", 100, "whole"],
    ["bytes=", 100, "whole"],
    ["bytes", 100, "whole"],
    ["bytes=a-b", 100, "whole"],
    ["bytes=1.5-2", 100, "whole"],
    ["bytes=-1-2", 100, "whole"],
    ["bytes=0x1-2", 100, "whole"],
    ["items=0-1", 100, "whole"],
    ["bytes=0-1,5-6", 100, "whole"],
    ["bytes=0-1,", 100, "whole"],
  ];
  test.for(ranges)("answers %s of %s bytes with %s", ([range, sizeBytes, answer]) => {
    const plan = planBlob(get({ Range: range }), blob(sizeBytes));
    const header = (name: string) => plan.headers.get(name);
    if (answer === "whole") {
      expect(plan.status).toBe(200);
      expect(plan.range).toBeNull();
      expect(header("Content-Length")).toBe(String(sizeBytes));
      expect(header("Content-Range")).toBeNull();
    } else if (answer === "unsatisfiable") {
      expect(plan.status).toBe(416);
      expect(plan.range).toBeNull();
      expect(header("Content-Range")).toBe(`bytes */${sizeBytes}`);
      expect(header("Cache-Control")).toBe("no-store");
      expect(header("Content-Length")).toBe("0");
    } else {
      const [offset, length] = answer;
      expect(plan.status).toBe(206);
      expect(plan.range).toStrictEqual({ offset, length });
      expect(header("Content-Length")).toBe(String(length));
      expect(header("Content-Range")).toBe(`bytes ${offset}-${offset + length - 1}/${sizeBytes}`);
    }
  });

  const conditions: readonly [headers: Readonly<Record<string, string>>, status: number][] = [
    [{}, 200],
    [{ "If-None-Match": ETAG }, 304],
    [{ "If-None-Match": `W/${ETAG}` }, 304],
    [{ "If-None-Match": `${OTHER}, ${ETAG}` }, 304],
    [{ "If-None-Match": "*" }, 304],
    [{ "If-None-Match": OTHER }, 200],
    [{ "If-None-Match": DIGEST }, 200],
    [{ "If-None-Match": "" }, 200],
    [{ "If-None-Match": ETAG, Range: "bytes=0-1" }, 304],
    [{ "If-Match": ETAG }, 200],
    [{ "If-Match": "*" }, 200],
    [{ "If-Match": `${OTHER}, ${ETAG}` }, 200],
    [{ "If-Match": OTHER }, 412],
    [{ "If-Match": "" }, 412],
    // Only a strong comparison allows bytes of one answer beside those of another (§13.1.1).
    [{ "If-Match": `W/${ETAG}` }, 412],
    [{ "If-Match": OTHER, "If-None-Match": ETAG }, 412],
    [{ "If-Match": ETAG, "If-None-Match": ETAG }, 304],
    [{ "If-Match": OTHER, Range: "bytes=0-1" }, 412],
    [{ "If-Match": ETAG, Range: "bytes=0-1" }, 206],
    [{ "If-Match": ETAG, Range: "bytes=900-" }, 416],
    [{ Range: "bytes=0-1", "If-Range": ETAG }, 206],
    [{ Range: "bytes=0-1", "If-Range": OTHER }, 200],
    [{ Range: "bytes=0-1", "If-Range": `W/${ETAG}` }, 200],
    [{ Range: "bytes=0-1", "If-Range": "Thu, 01 Jan 1970 00:00:01 GMT" }, 200],
    [{ Range: "bytes=900-", "If-Range": OTHER }, 200],
    [{ "If-Range": ETAG }, 200],
  ];
  for (const [headers, status] of conditions) {
    test(`answers ${status} to ${JSON.stringify(headers).replaceAll(DIGEST, "…")}`, () => {
      const plan = planBlob(get(headers), blob(100));
      expect(plan.status).toBe(status);
      expect(plan.headers.get("ETag")).toBe(ETAG);
      expect(plan.headers.get("Docker-Content-Digest")).toBe(DIGEST);
      expect(plan.headers.get("Accept-Ranges")).toBe("bytes");
      expect(plan.range === null).toBe(status !== 206);
      expect(plan.headers.has("Content-Type")).toBe(status < 300);
      const isFailure = status === 412 || status === 416;
      expect(plan.headers.get("Cache-Control") === "no-store").toBe(isFailure);
      if (isFailure) expect(plan.headers.get("Content-Length")).toBe("0");
    });
  }

  test.for(["bytes=0-1", "bytes=100-"])(
    "answers HEAD with the whole, whether or not it asks for %s",
    (range) => {
      const plan = planBlob({ ...get({ Range: range }), method: "HEAD" }, blob(100));
      expect(plan.status).toBe(200);
      expect(plan.headers.get("Content-Length")).toBe("100");
    },
  );

  test("says that content is for ever, opaque, and not to be transformed", () => {
    const { headers } = planBlob(get(), blob(100));
    expect(headers.get("Content-Type")).toBe("application/octet-stream");
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(headers.get("Docker-Distribution-API-Version")).toBe("registry/2.0");
    const cacheControl = headers.get("Cache-Control") ?? "";
    for (const word of ["public", "immutable", "no-transform"])
      expect(cacheControl).toContain(word);
    expect(headers.get("Vary")).toBeNull();
    expect(headers.get("Content-Encoding")).toBeNull();
  });
});

describe("manifestResponse", () => {
  const manifest = {
    digest: DIGEST,
    mediaType: OCI_MANIFEST,
    bytes: new Uint8Array(1000),
  } as const;

  test("answers by tag what no cache may keep, and by digest what every cache may", () => {
    const byTag = manifestResponse(get(), manifest, "tag");
    const byDigest = manifestResponse(get(), manifest, "digest");
    for (const { status, headers } of [byTag, byDigest]) {
      expect(status).toBe(200);
      expect(headers.get("Content-Type")).toBe(OCI_MANIFEST);
      expect(headers.get("Content-Length")).toBe("1000");
      expect(headers.get("Docker-Content-Digest")).toBe(DIGEST);
      expect(headers.get("ETag")).toBe(ETAG);
    }
    expect(byTag.headers.get("Cache-Control") ?? "").toMatch(/no-store/);
    const decides = "Accept, User-Agent, Nixport-Variant, Nixport-Platforms";
    expect(byTag.headers.get("Vary")).toBe(decides);
    expect(byDigest.headers.get("Cache-Control") ?? "").toMatch(/immutable/);
    expect(byDigest.headers.get("Vary")).toBeNull();
  });

  for (const by of ["tag", "digest"] as const) {
    test(`answers 304 by ${by} when the client has it, and knows no ranges`, async () => {
      const unchanged = manifestResponse(get({ "If-None-Match": ETAG }), manifest, by);
      expect(unchanged.status).toBe(304);
      expect(unchanged.headers.get("Content-Length")).toBeNull();
      expect(unchanged.headers.get("Docker-Content-Digest")).toBe(DIGEST);
      expect(unchanged.body).toBeNull();
      const ranged = manifestResponse(get({ Range: "bytes=0-1" }), manifest, by);
      expect(ranged.status).toBe(200);
      expect(ranged.headers.get("Accept-Ranges")).toBeNull();
      expect(await ranged.bytes()).toStrictEqual(manifest.bytes);
    });

    test(`answers 412 by ${by} when another was asked for`, () => {
      const failed = manifestResponse(get({ "If-Match": OTHER }), manifest, by);
      expect(failed.status).toBe(412);
      expect(failed.headers.get("Content-Length")).toBe("0");
      expect(failed.headers.get("ETag")).toBe(ETAG);
      expect(failed.body).toBeNull();
      expect(manifestResponse(get({ "If-Match": ETAG }), manifest, by).status).toBe(200);
    });

    test(`answers HEAD by ${by} with the headers of GET and no body`, () => {
      const head = manifestResponse({ ...get(), method: "HEAD" }, manifest, by);
      expect(head.body).toBeNull();
      expect([...head.headers]).toStrictEqual([...manifestResponse(get(), manifest, by).headers]);
    });
  }
});

describe("requestedRange", () => {
  const rows: readonly [range: string | null, asked: object | null][] = [
    [null, null],
    ["bytes=5-9", { offset: 5, length: 5 }],
    ["bytes=5-", { offset: 5 }],
    ["bytes=-5", { suffix: 5 }],
    ["bytes=-0", { suffix: 0 }],
    ["bytes=9-5", null],
    ["bytes=1-2,3-4", null],
  ];
  test.for(rows)("reads %s before any size is known", ([range, asked]) => {
    const request = get(range === null ? {} : { Range: range });
    expect(requestedRange(request, DIGEST)).toStrictEqual(asked);
  });
});
