// The one table of errors and its one writer.

import { assert, describe, expect, test } from "vitest";
import {
  type ErrorCode,
  errorResponse,
  isErrorCode,
  RegistryError,
} from "../../../registry/http/error.ts";

const STATUS: Readonly<Record<ErrorCode, number>> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNKNOWN: 500,
  UNAVAILABLE: 503,
  UNSUPPORTED: 405,
};

describe("errorResponse", () => {
  for (const [code, status] of Object.entries(STATUS)) {
    test(`answers ${code} with ${status}, JSON, and no permission to cache`, async () => {
      assert(isErrorCode(code));
      const response = errorResponse(new RegistryError(code, "what happened"), "GET");
      expect(response.status).toBe(status);
      expect(response.headers.get("Content-Type")).toBe("application/json");
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      expect(response.headers.get("Docker-Distribution-API-Version")).toBe("registry/2.0");
      const text = await response.text();
      expect(response.headers.get("Content-Length")).toBe(String(Buffer.byteLength(text)));
      expect(JSON.parse(text)).toStrictEqual({ errors: [{ code, message: "what happened" }] });
    });

    test(`answers HEAD with the headers of ${code} and no body`, async () => {
      assert(isErrorCode(code));
      const error = new RegistryError(code, "grün", { detail: ["ü"], retryAfterSeconds: 7 });
      const [get, head] = [errorResponse(error, "GET"), errorResponse(error, "HEAD")];
      expect(head.body).toBeNull();
      expect(head.status).toBe(get.status);
      expect([...head.headers]).toStrictEqual([...get.headers]);
    });

    const isRetried = status === 429 || status === 503;
    test(`${isRetried ? "says" : "does not say"} after ${code} when to ask again`, () => {
      assert(isErrorCode(code));
      const seconds = (error: RegistryError) =>
        errorResponse(error, "GET").headers.get("Retry-After");
      expect(seconds(new RegistryError(code))).toBe(isRetried ? "10" : null);
      const later = new RegistryError(code, undefined, { retryAfterSeconds: 60 });
      expect(seconds(later)).toBe(isRetried ? "60" : null);
    });
  }

  test("challenges whoever is not authorised, and nobody else (RFC 9110 §11.6.1)", () => {
    for (const code of Object.keys(STATUS)) {
      assert(isErrorCode(code));
      const { headers } = errorResponse(new RegistryError(code), "GET");
      // Of no scheme that a client would look for a token by.
      const challenge = code === "UNAUTHORIZED" ? "Nixport" : null;
      expect(headers.get("WWW-Authenticate"), code).toBe(challenge);
    }
  });

  test("carries the detail and further headers of an error", async () => {
    const options = { detail: { name: "gti", near: ["git"] }, headers: { Allow: "GET" } };
    const response = errorResponse(new RegistryError("UNSUPPORTED", "no", options), "PUT");
    expect(response.headers.get("Allow")).toBe("GET");
    expect(await response.json()).toStrictEqual({
      errors: [{ code: "UNSUPPORTED", message: "no", detail: options.detail }],
    });
  });

  test("lets no further header replace its own", () => {
    const headers = { "content-type": "text/html", "Cache-Control": "public" };
    const response = errorResponse(new RegistryError("UNKNOWN", "no", { headers }), "GET");
    expect(response.headers.get("Content-Type") ?? "").toMatch(/application\/json$/);
    expect(response.headers.get("Cache-Control") ?? "").toMatch(/no-store$/);
  });

  test("cuts a message that has no end, and leaves out facts beyond all measure", async () => {
    const error = new RegistryError("UNKNOWN", "🎁".repeat(50_000), { detail: "x".repeat(70_000) });
    const bytes = await errorResponse(error, "GET").bytes();
    expect(bytes.length, String(bytes.length)).toBeLessThanOrEqual(64 * 1024);
    const { errors } = JSON.parse(new TextDecoder().decode(bytes)) as {
      errors: [{ message: string; detail?: unknown }];
    };
    expect(errors[0].message).toHaveLength(16 * 1024);
    expect(errors[0].message).toMatch(/^(?:🎁)+.?…$/u);
    expect(errors[0].detail).toBeUndefined();
  });

  test("has a message of its own for every code", () => {
    const codes = Object.keys(STATUS).filter(isErrorCode);
    const messages = new Set(codes.map((code) => new RegistryError(code).message));
    expect(messages.size).toBe(codes.length);
  });

  test("keeps the cause out of the answer", async () => {
    const error = new RegistryError("UNKNOWN", "no", { cause: new Error("a secret") });
    expect((error.cause as Error).message).toBe("a secret");
    expect(await errorResponse(error, "GET").text()).not.toContain("secret");
  });
});

test("isErrorCode knows the codes of the table and no property of objects", () => {
  for (const text of ["", "manifest_unknown", "toString", "__proto__", "constructor", "TEAPOT"]) {
    expect(isErrorCode(text), text).toBe(false);
  }
});
