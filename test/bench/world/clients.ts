// Clients as a registry sees them: which requests they send in which order, and how many layers at a
// time. Nothing is unpacked, so that only the way is counted.

import { createTurns } from "../../../origin/storage/turns.ts";
import type { Descriptor, Manifest } from "../origins.ts";
import { type Connection, createConnection, FIRST_WINDOW_BYTES, type Line } from "./line.ts";
import type { Simulation } from "./simulation.ts";

export interface PullingClient {
  readonly name: string;
  readonly userAgent: string;
  readonly asksPing: boolean;
  /** HEAD of the tag and the manifest by digest, else the manifest by tag. */
  readonly asksHead: boolean;
  /** Before any layer, else together with them. */
  readonly asksConfigFirst: boolean;
  readonly parallelLayers: number;
}

/** Of 2026-11: as their requests look in a log, and by the defaults of their sources. */
export const PULLING_CLIENTS: readonly PullingClient[] = [
  {
    // Its max-concurrent-downloads is 3.
    name: "docker",
    userAgent: "docker/28.5.2 go/go1.27 kernel/6.1 os/linux arch/amd64",
    ...{ asksPing: true, asksHead: true, asksConfigFirst: false, parallelLayers: 3 },
  },
  {
    // As Kubernetes has it: its max_concurrent_downloads is 3.
    name: "containerd",
    userAgent: "containerd/v2.1.9",
    ...{ asksPing: false, asksHead: true, asksConfigFirst: false, parallelLayers: 3 },
  },
  {
    // Its maxParallelDownloads is 6.
    name: "podman",
    userAgent: "containers/5.36.2 (github.com/containers/image)",
    ...{ asksPing: true, asksHead: false, asksConfigFirst: true, parallelLayers: 6 },
  },
];

export interface Asked {
  readonly method: "GET" | "HEAD";
  readonly path: string;
  readonly userAgent: string;
}

export interface Answered {
  /** From the request's arrival to the first byte of the answer. */
  readonly tookMs: number;
  readonly body: Uint8Array;
  readonly digest: string | undefined;
  /** Where the answer is instead, and then nothing else of this counts. */
  readonly elsewhere?: Server;
  readonly cacheStatus?: string | undefined;
}

export interface Server {
  readonly rttMs: number;
  answer(asked: Asked): Promise<Answered>;
}

export interface PulledImage {
  readonly requests: number;
  readonly bytes: number;
  readonly layers: number;
  /** What the answer to the tag says of where it came from. */
  readonly cacheStatus: string | undefined;
}

export interface PullOptions {
  readonly repository: string;
  readonly server: Server;
  /** The user's own, which all connections share. */
  readonly line: Line;
}

export async function pullAs(
  client: PullingClient,
  world: Simulation,
  { repository, server, line }: PullOptions,
): Promise<PulledImage> {
  const idle = new Map<Server, Connection[]>();
  let requests = 0;
  let bytes = 0;

  async function ask(path: string, method: Asked["method"] = "GET"): Promise<Answered> {
    for (let asked = server; ; ) {
      requests += 1;
      const connections = idle.get(asked) ?? [];
      idle.set(asked, connections);
      const connection = connections.pop() ?? (await connect(world, line, asked));
      await world.until(world.now() + connection.rttMs / 2);
      const request = { method, path, userAgent: client.userAgent };
      const answered = await world.really(() => asked.answer(request));
      await world.until(world.now() + answered.tookMs);
      await carry(world, connection, method === "HEAD" ? 0 : answered.body.length);
      connections.push(connection);
      if (answered.elsewhere === undefined) return answered;
      asked = answered.elsewhere;
    }
  }

  async function blob({ digest, size }: Descriptor): Promise<void> {
    const { body } = await ask(`/v2/${repository}/blobs/${digest}`);
    if (body.length !== size) throw new Error(`${digest} has ${body.length} bytes, not ${size}`);
    bytes += size;
  }

  if (client.asksPing) await ask("/v2/");
  const tag = `/v2/${repository}/manifests/latest`;
  const head = client.asksHead ? await ask(tag, "HEAD") : undefined;
  if (client.asksHead && head?.digest === undefined) throw new Error("the tag has no digest");
  const got = await ask(head === undefined ? tag : `/v2/${repository}/manifests/${head.digest}`);
  const { config, layers } = JSON.parse(new TextDecoder().decode(got.body)) as Manifest;
  if (client.asksConfigFirst) await blob(config);
  const beside = client.asksConfigFirst ? [] : [blob(config)];
  const inTurn = createTurns(client.parallelLayers);
  await Promise.all([...beside, ...layers.map((layer) => inTurn(() => blob(layer)))]);
  return { requests, bytes, layers: layers.length, cacheStatus: (head ?? got).cacheStatus };
}

/** TCP's handshake and TLS 1.3's. */
const HANDSHAKE_TRIPS = 2;
/** Of an answer's own head. */
const HEAD_BYTES = 600;

async function connect(world: Simulation, line: Line, { rttMs }: Server): Promise<Connection> {
  await world.until(world.now() + HANDSHAKE_TRIPS * rttMs);
  return createConnection(line, rttMs);
}

async function carry(world: Simulation, connection: Connection, bodyBytes: number): Promise<void> {
  for (let left = HEAD_BYTES + bodyBytes; left > 0; left -= FIRST_WINDOW_BYTES) {
    const slice = Math.min(FIRST_WINDOW_BYTES, left);
    const readyMs = connection.readyMs(slice, world.now());
    if (readyMs > world.now()) await world.until(readyMs);
    await world.until(connection.send(slice, world.now()));
  }
  await world.until(world.now() + connection.rttMs / 2);
}
