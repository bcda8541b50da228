// A binary cache over HTTP for a graph that a test draws: narinfo files as Nix writes them, and
// whatever fault a path is given.

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  parseStorePath,
  type StorePath,
  storePathBase,
} from "../../../registry/naming/store-path.ts";
import { hexOf, storePathOf } from "../../registry/fixture.ts";
import type { Ending } from "../fixture.ts";

/**
 * By name, or by a whole store path: what each path refers to. A path without an entry is not in
 * the cache.
 */
export type Graph = Readonly<Record<string, readonly string[]>>;

/**
 * Answers one request in place of the file; `times` says how often, and then the file is served.
 */
export interface Fault {
  readonly times?: number;
  readonly answer: (response: ServerResponse, file: string) => void;
}

export interface TestCache {
  readonly url: string;
  /** The names asked for, in order, one for each request. */
  readonly asked: string[];
}

export function narinfoOf(path: StorePath, references: readonly StorePath[]): string {
  const hash = hexOf(path).slice(0, 52);
  return `StorePath: ${path}
URL: nar/${hash}.nar.xz
Compression: xz
FileHash: sha256:${hash}
FileSize: 50088
NarHash: sha256:${hash}
NarSize: 226560
References: ${references.map(storePathBase).join(" ")}
Deriver: ${storePathBase(path)}.drv
Sig: cache.example-1:${Buffer.from(hash).toString("base64")}
`;
}

export async function serveCache(
  onEnd: Ending,
  graph: Graph,
  faults: Readonly<Record<string, Fault>> = {},
): Promise<TestCache> {
  const asked: string[] = [];
  const names = [...Object.keys(graph), ...Object.keys(faults)];
  const byFile = new Map(names.map((name) => [`/${hashOf(name)}.narinfo`, name]));
  const left = new Map(
    Object.entries(faults).map(([name, { times }]) => [name, times ?? Number.POSITIVE_INFINITY]),
  );
  const server = createServer((request, response) => {
    const name = byFile.get(request.url ?? "");
    if (name === undefined) return void response.writeHead(404).end("404");
    asked.push(name);
    const file = narinfoOf(pathOf(name), (graph[name] ?? []).map(pathOf));
    const times = left.get(name) ?? 0;
    left.set(name, times - 1);
    if (times > 0) return faults[name]?.answer(response, file);
    if (graph[name] === undefined) return void response.writeHead(404).end("404");
    response.writeHead(200, { "Content-Type": "text/x-nix-narinfo" }).end(file);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  onEnd(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

function hashOf(name: string): string {
  return storePathBase(pathOf(name)).slice(0, 32);
}

function pathOf(name: string): StorePath {
  return parseStorePath(name) ?? storePathOf(name);
}
