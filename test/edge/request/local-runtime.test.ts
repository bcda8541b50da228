// What a local start adds to the Worker: nothing that answers, and nothing that believes a client.

import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startWorld, type World } from "../world.ts";

const WORKER = fileURLToPath(new URL("../../../edge/worker.ts", import.meta.url));

describe("an edge on this machine", () => {
  let world: World;
  beforeAll(async () => {
    // As it is deployed: the tests' own entry makes a new request of each.
    world = await startWorld({ entryPath: WORKER });
    const bucket = await world.edge.miniflare.getR2Bucket("R2");
    await bucket.put("stored", "what only the Worker may show");
  });
  afterAll(() => world.close());

  test.each([
    "/cdn-cgi/local/platform-proxy",
    "/cdn-cgi/local/r2/public/nixport/stored",
    "/cdn-cgi/local/r2/s3/nixport/stored",
    "/cdn-cgi/local/explorer",
    "/cdn-cgi/local/scheduled",
    "/cdn-cgi/local/email",
    "/cdn-cgi/handler/scheduled",
    "/cdn-cgi/mf/reload",
    "/__cf_local/stream",
  ])("has no route %s but the Worker's own answer", async (path) => {
    const response = await world.pull(path);
    expect(response.status).toBe(404);
    expect(await response.text()).toMatch(/"NAME_UNKNOWN"/);
    expect(response.headers.has("Cache-Status")).toBe(true);
  });

  test.each([
    ["MF-Original-URL", "http://other.example/v2/_catalog"],
    ["MF-Original-Hostname", "other.example"],
    ["MF-Route-Override", "another-worker"],
    ["MF-Custom-Fetch-Service", "another-service"],
    ["MF-Custom-Node-Service", "another-service"],
    ["MF-Proxy-Shared-Secret", "0123456789abcdef"],
    ["MF-CF-Blob", "{"],
    ["MF-Access-Blob", "{}"],
    ["MF-Op", "GET"],
    ["MF-Op-Secret", "0123456789abcdef"],
  ])("takes %s for nothing", async (name, value) => {
    const response = await world.pull("/v2/", { headers: { [name]: value } });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("{}");
  });

  test("codes no body for who would take it coded", async () => {
    const headers = { "Accept-Encoding": "gzip, br" };
    const response = await world.pull("/v2/", { headers });
    expect(response.headers.get("Content-Encoding")).toBeNull();
    expect(response.headers.get("Content-Length")).toBe("2");
  });
});
