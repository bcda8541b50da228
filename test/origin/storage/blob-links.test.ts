// Addresses of blobs in a bucket: those that are signed are verified as Google does, with a key made
// here; and compared with those of Google's own library, which signs GET.

import { createHash, createSign, createVerify, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { Storage } from "@google-cloud/storage";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { publicLinks, signedLinks } from "../../../origin/storage/blob-links.ts";
import { openBucket } from "../../../origin/storage/bucket.ts";
import { layerKey } from "../../contract/blob-store.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { ACCOUNT, plantKey } from "./emulator.ts";

const KEYS = generateKeyPairSync("rsa", { modulusLength: 2048 });
const { publicKey, privateKey } = KEYS;
const BUCKET_URL = "https://storage.googleapis.com/our-layers";
const KEY = layerKey("x");
const METHODS = ["GET", "HEAD"] as const;

/** Of this process, in which Google's library looks for credentials. */
function setVariable(onEnd: Ending, name: string, value: string): void {
  const before = process.env[name];
  process.env[name] = value;
  onEnd(() => {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  });
}

/** As https://cloud.google.com/storage/docs/authentication/canonical-requests has it. */
function isSigned(method: string, address: string): boolean {
  const url = new URL(address);
  const signature = url.searchParams.get("X-Goog-Signature") ?? "";
  const query = url.search
    .slice(1)
    .split("&")
    .filter((each) => !each.startsWith("X-Goog-Signature="))
    .sort()
    .join("&");
  const request = `${method}\n${url.pathname}\n${query}\nhost:${url.host}\n\nhost\nUNSIGNED-PAYLOAD`;
  const [, scope = ""] =
    /^[^/]+\/(.+)$/.exec(url.searchParams.get("X-Goog-Credential") ?? "") ?? [];
  const digest = createHash("sha256").update(request).digest("hex");
  const text = `GOOG4-RSA-SHA256\n${url.searchParams.get("X-Goog-Date")}\n${scope}\n${digest}`;
  return createVerify("RSA-SHA256").update(text).verify(publicKey, Buffer.from(signature, "hex"));
}

async function openLinks(onEnd: Ending) {
  const file = await plantKey(await temporaryDirectory(onEnd), KEYS);
  setVariable(onEnd, "GOOGLE_APPLICATION_CREDENTIALS", file);
  const { signer, url } = openBucket({ name: "our-layers", endpoint: null });
  expect(url).toBe(BUCKET_URL);
  let nowMs = Date.now();
  let signatures = 0;
  const failures: unknown[] = [];
  let failing = false;
  const links = signedLinks({
    bucketUrl: url,
    signer: {
      account: signer.account,
      async sign(text) {
        if (failing) throw new Error("no right to sign");
        signatures += 1;
        return signer.sign(text);
      },
    },
    now: () => nowMs,
    onFailure: (error) => void failures.push(error),
  });
  return {
    ...{ links, failures },
    signatures: () => signatures,
    pass(ms: number) {
      nowMs += ms;
    },
    fail(whether: boolean) {
      failing = whether;
    },
    now: () => nowMs,
  };
}

describe("an address signed with a key", () => {
  test.for(METHODS)("is for %s of this blob, for five minutes", async (method) => {
    const { links, now } = await openLinks(onTestFinished);
    const address = (await links.to(KEY, method)) ?? "";
    const { origin, pathname, searchParams } = new URL(address);
    expect(`${origin}${pathname}`).toBe(`${BUCKET_URL}/${KEY}`);
    const date = new Date(now()).toISOString().replace(/[-:]|\.\d+/g, "");
    expect(Object.fromEntries(searchParams)).toMatchObject({
      "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
      "X-Goog-Credential": `${ACCOUNT}/${date.slice(0, 8)}/auto/storage/goog4_request`,
      "X-Goog-Date": date,
      "X-Goog-Expires": "300",
      "X-Goog-SignedHeaders": "host",
    });
    expect(isSigned(method, address)).toBe(true);
    const [other] = METHODS.filter((each) => each !== method);
    expect(isSigned(other ?? "", address)).toBe(false);
    expect(isSigned(method, address.replace(KEY, layerKey("y")))).toBe(false);
    expect(isSigned(method, address.replace("Expires=300", "Expires=900"))).toBe(false);
  });

  test("is the one that Google's library signs", async () => {
    const { links, now } = await openLinks(onTestFinished);
    const [expected] = await new Storage()
      .bucket("our-layers")
      .file(KEY)
      .getSignedUrl({
        ...{ action: "read", version: "v4" },
        ...{ accessibleAt: now(), expires: Math.floor(now() / 1000) * 1000 + 300_000 },
      });
    expect(await links.to(KEY, "GET")).toBe(expected);
  });

  test("is given again for two minutes, and signed anew then", async () => {
    const { links, pass, signatures } = await openLinks(onTestFinished);
    const first = await links.to(KEY, "GET");
    pass(119_000);
    expect(await links.to(KEY, "GET")).toBe(first);
    expect(signatures()).toBe(1);
    await links.to(KEY, "HEAD");
    await links.to(layerKey("y"), "GET");
    expect(signatures()).toBe(3);
    pass(1000);
    expect(await links.to(KEY, "GET")).not.toBe(first);
    expect(signatures()).toBe(4);
  });

  test("is not there while nothing can be signed, which is tried once a minute", async () => {
    const { links, pass, fail, failures } = await openLinks(onTestFinished);
    fail(true);
    expect(await links.to(KEY, "GET")).toBeUndefined();
    fail(false);
    expect(await links.to(KEY, "GET")).toBeUndefined();
    expect(failures).toHaveLength(1);
    pass(60_000);
    expect(isSigned("GET", (await links.to(KEY, "GET")) ?? "")).toBe(true);
  });
});

/** The metadata server of a machine of Google's, and the service that signs for its account. */
async function startGoogle(onEnd: Ending) {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://x");
    asked.push(`${request.method} ${pathname}`);
    response.setHeader("Metadata-Flavor", "Google");
    if (pathname.endsWith("/token")) {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ access_token: "t", expires_in: 3600, token_type: "Bearer" }));
    } else if (pathname.endsWith("/email")) response.end(ACCOUNT);
    else if (pathname.endsWith(":signBlob")) {
      expect(request.headers.authorization).toBe("Bearer t");
      const { payload } = (await json(request)) as { payload: string };
      const sign = createSign("RSA-SHA256").update(Buffer.from(payload, "base64"));
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ signedBlob: sign.sign(privateKey, "base64") }));
    } else if (pathname.endsWith("/universe-domain")) response.end("googleapis.com");
    else response.end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onEnd(() => void server.close());
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test("an address is signed by Google for the account of the machine, without a key", async () => {
  const { host, asked } = await startGoogle(onTestFinished);
  setVariable(onTestFinished, "GCE_METADATA_HOST", host);
  const signingUrl = `http://${host}/v1/projects/-/serviceAccounts/`;
  const { signer, url } = openBucket({ name: "our-layers", endpoint: null }, signingUrl);
  const onFailure = (error: unknown) => assert.fail(String(error));
  const links = signedLinks({ bucketUrl: url, signer, now: Date.now, onFailure });
  for (const method of METHODS) {
    expect(isSigned(method, (await links.to(KEY, method)) ?? "")).toBe(true);
  }
  const signing = asked.filter((each) => each.endsWith(`/${ACCOUNT}:signBlob`));
  expect(signing).toHaveLength(2);
});

test("an address in a public bucket is that of the object", async () => {
  expect(await publicLinks(BUCKET_URL).to(KEY, "GET")).toBe(`${BUCKET_URL}/${KEY}`);
});
