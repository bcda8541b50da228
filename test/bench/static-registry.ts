// A registry of fixed images on this machine: what a client pulls from it costs as little as a
// registry can, so that the client is what is measured.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";

export interface StaticImage {
  readonly repository: string;
  readonly manifest: Uint8Array;
  /** The files of its config and layers. */
  readonly blobs: ReadonlyMap<Digest, string>;
}

export interface StaticRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  close(): void;
}

interface Served {
  readonly type: string;
  readonly digest: string;
  readonly sizeBytes: number;
  send(response: ServerResponse): void;
}

export async function serveImages(images: readonly StaticImage[]): Promise<StaticRegistry> {
  const served = new Map<string, Served>();
  for (const image of images) {
    for (const [path, content] of await contentOf(image)) served.set(path, content);
  }
  const server = createServer((request, response) => answer(served, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the registry has no port");
  return {
    host: `127.0.0.1:${address.port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function contentOf({
  repository,
  manifest,
  blobs,
}: StaticImage): Promise<ReadonlyMap<string, Served>> {
  const { mediaType } = JSON.parse(new TextDecoder().decode(manifest)) as { mediaType: string };
  const digest = await digestOf(Uint8Array.from(manifest));
  const served: Served = {
    ...{ type: mediaType, digest, sizeBytes: manifest.length },
    send: (response) => response.end(manifest),
  };
  const content = new Map([
    [`/v2/${repository}/manifests/latest`, served],
    [`/v2/${repository}/manifests/${digest}`, served],
  ]);
  for (const [blob, path] of blobs) {
    content.set(`/v2/${repository}/blobs/${blob}`, {
      ...{ type: "application/octet-stream", digest: blob, sizeBytes: (await stat(path)).size },
      send: (response) => createReadStream(path, { highWaterMark: 1 << 20 }).pipe(response),
    });
  }
  return content;
}

function answer(
  served: ReadonlyMap<string, Served>,
  { method, url = "" }: IncomingMessage,
  response: ServerResponse,
): void {
  if (url === "/v2/") {
    response.writeHead(200, { "Content-Type": "application/json" }).end("{}");
    return;
  }
  const found = served.get(url.split("?")[0] ?? "");
  if (found === undefined) {
    response.writeHead(404, { "Content-Type": "application/json" }).end('{"errors":[]}');
    return;
  }
  response.writeHead(200, {
    "Content-Type": found.type,
    "Content-Length": found.sizeBytes,
    "Docker-Content-Digest": found.digest,
  });
  if (method === "HEAD") response.end();
  else found.send(response);
}
