// What the edge is compared with: Workers on the same runtime that do nothing but answer, or nothing but read
// the bucket, and the registry of the distribution project with the same image.

import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { Digest } from "../../../registry/naming/digest.ts";
import { missingDockerRegistry, startDockerRegistry } from "../../e2e/docker-registry.ts";
import { freePort } from "../../free-port.ts";

export interface Rival {
  readonly url: string;
  close(): Promise<void>;
}

export interface PushedImage {
  readonly name: string;
  readonly manifest: { readonly mediaType: string; readonly bytes: Uint8Array };
  readonly blobs: ReadonlyMap<Digest, Uint8Array>;
}

const HOST = "127.0.0.1";

/** One answer to everything: these bytes, with these headers or as bare as can be. */
export function startConstant(
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>>,
): Promise<Rival> {
  const text = new TextDecoder().decode(bytes);
  return startWorker(
    `const body = new TextEncoder().encode(${JSON.stringify(text)});
     const headers = ${JSON.stringify(headers)};
     export default { fetch: () => new Response(body, { headers }) };`,
  );
}

/** The bucket and a path that is the key in it, and nothing else. */
export async function startBareBucket(key: string, bytes: Uint8Array): Promise<Rival> {
  const worker = await startWorker(
    `export default {
       async fetch(request, { R2 }) {
         const range = request.headers.get("Range") === null ? undefined : request.headers;
         const object = await R2.get(new URL(request.url).pathname.slice(1), { range });
         const length = range === undefined ? object.size : object.range.length;
         const headers = { "Content-Length": String(length) };
         return new Response(object.body, { status: range === undefined ? 200 : 206, headers });
       },
     };`,
    { r2Buckets: { R2: "bare" } },
  );
  const bucket = await worker.miniflare.getR2Bucket("R2");
  await bucket.put(key, bytes);
  return worker;
}

/** Null where it is not installed. */
export async function startRegistryWith(
  folder: string,
  { name, manifest, blobs }: PushedImage,
): Promise<Rival | null> {
  if (missingDockerRegistry() !== false) return null;
  const registry = await startDockerRegistry(join(folder, "docker-registry"));
  const url = (path: string) => `${registry.url}/v2/${name}/${path}`;
  for (const [digest, bytes] of blobs) {
    const begun = await fetch(url("blobs/uploads/"), { method: "POST" });
    const location = new URL(begun.headers.get("Location") ?? "", registry.url);
    location.searchParams.set("digest", digest);
    await accepted(fetch(location, { method: "PUT", body: Buffer.from(bytes) }));
  }
  const headers = { "Content-Type": manifest.mediaType };
  const body = Buffer.from(manifest.bytes);
  await accepted(fetch(url("manifests/latest"), { method: "PUT", headers, body }));
  return { url: registry.url, close: () => registry.stop() };
}

async function accepted(answer: Promise<Response>): Promise<void> {
  const response = await answer;
  const text = await response.text();
  if (!response.ok) throw new Error(`docker-registry: HTTP ${response.status} ${text}`);
}

async function startWorker(script: string, bindings: object = {}) {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: [{ type: "ESModule", path: "worker.js", contents: script }],
      // As the edge has them.
      ...{ compatibilityDate: "2026-11-01", compatibilityFlags: ["enable_request_signal"] },
      unsafeDirectSockets: [{ host: HOST, port: await freePort() }],
      ...{ host: HOST, port: 0, cf: false, telemetry: { enabled: false } },
      ...bindings,
    }),
  );
  const { href } = await miniflare.unsafeGetDirectURL();
  return { url: href.replace(/\/$/, ""), miniflare, close: () => miniflare.dispose() };
}
