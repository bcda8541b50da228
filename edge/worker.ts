// The Worker's entrypoints: the app with the real clock, and this isolate's memory; and what Workers
// Cache may stand before, a class since the runtime knows no other kind beside the main one.

import { WorkerEntrypoint } from "cloudflare:workers";
import { createApp } from "./app.ts";
import { serveCachedBlob } from "./cached-blobs.ts";
import { createIsolate } from "./create-edge.ts";
import type { Env } from "./request/env.ts";
import { writeLog } from "./request/log.ts";

export class CachedBlobs extends WorkerEntrypoint<Env> {
  override fetch(request: Request): Promise<Response> {
    return serveCachedBlob(request, this.env.R2, this.ctx.cache);
  }
}

export default createApp({
  isolate: createIsolate(),
  now: () => Date.now(),
  log: writeLog,
});
