// That clients ask again after what the table of clients says, and at least so often, whatever
// `Retry-After` says: real ones, of a registry that always answers the same.

import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientOf } from "../../registry/http/clients.ts";
import { skipWhere } from "../skip-where.ts";
import { missingClient } from "./clients.ts";
import { type Containerd, startContainerd } from "./containerd.ts";
import { removeStorage } from "./daemon.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";

const STATUSES = [408, 429, 503] as const;

interface Asked {
  readonly path: string;
  readonly method: string;
  readonly headers: Headers;
}

let scratch: string;
let server: Server;
let host: string;
const asked: Asked[] = [];
let containerd: Containerd | undefined;
let dockerd: Dockerd | undefined;
const withoutContainerd = missingClient("containerd", "ctr");
const withoutDocker = missingClient("dockerd", "docker");

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-asking-again-"));
  server = createServer(({ url = "", method = "", headers }, response) => {
    const [, status] = /^\/v2\/of-(\d+)-[^/]+\/manifests\//.exec(url) ?? [];
    if (status !== undefined) {
      asked.push({ path: url, method, headers: new Headers(headers as Record<string, string>) });
      response.writeHead(Number(status), { "Retry-After": "60" });
    }
    response.end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  host = `127.0.0.1:${address.port}`;
  if (!withoutContainerd) containerd = await startContainerd(join(scratch, "containerd"));
  if (!withoutDocker) dockerd = await startDockerd(join(scratch, "dockerd"));
});

afterAll(async () => {
  await containerd?.stop();
  await dockerd?.stop();
  server?.closeAllConnections();
  server?.close();
  if (scratch) await removeStorage(scratch);
});

/** A client asks with HEAD first, and Docker's engine with GET after any failure of that: once more. */
async function expectAsked(name: string, pull: () => Promise<unknown> | undefined): Promise<void> {
  await expect(pull()).rejects.toThrow(/of-\d+|status/);
  const requests = asked.filter(({ path }) => path.startsWith(`/v2/${name}/`));
  const [first] = requests;
  if (first === undefined) throw new Error(`nothing was asked of ${name}`);
  const { asksAgain } = clientOf(first.headers);
  const [, status] = /^of-(\d+)/.exec(name) ?? [];
  const times = asksAgain.find((again) => again.status === Number(status))?.times ?? 0;
  const sameAgain = requests.filter(({ method }) => method === first.method);
  // Of BuildKit no version says since when it asks again after 503 too.
  const agent = first.headers.get("User-Agent") ?? "";
  expect(sameAgain.length, agent).toBeGreaterThanOrEqual(1 + times);
}

describe.each(STATUSES)("a registry that answers %s", (status) => {
  test("to ctr images pull", skipWhere(withoutContainerd), async () => {
    const name = `of-${status}-ctr`;
    await expectAsked(name, () => containerd?.unpack(`${host}/${name}:latest`, name));
  });

  test("to docker pull", skipWhere(withoutDocker), async () => {
    const name = `of-${status}-pull`;
    await expectAsked(name, () => dockerd?.unpack(`${host}/${name}:latest`));
  });

  test("to docker build", skipWhere(withoutDocker), async () => {
    const name = `of-${status}-build`;
    await expectAsked(name, () => dockerd?.build(`${host}/${name}:latest`));
  });
});
