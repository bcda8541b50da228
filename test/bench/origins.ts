// The real origin as `npm run origin` starts it, on a storage of its own, and what it answers.

import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseJson } from "../../registry/http/json.ts";
import { VARIANT_HEADER } from "../../registry/http/negotiation.ts";
import { OCI_MANIFEST } from "../../registry/image/media-type.ts";
import type { Variant } from "../../registry/image/variant.ts";
import { type Digest, digestHex } from "../../registry/naming/digest.ts";
import { peakRssBytes, usedCpuSeconds } from "./measure.ts";
import { endProgram, startProgram } from "./processes.ts";
import type { LogLine } from "./stages.ts";

export interface RunningOrigin {
  readonly url: string;
  readonly pid: number;
  readonly storagePath: string;
  usedCpuSeconds(): Promise<number>;
  peakRssBytes(): Promise<number>;
  stop(): Promise<void>;
}

export interface Pulled {
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
  /** From the request to the last byte of the manifest. */
  readonly seconds: number;
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

const ORIGIN_PROGRAM = resolve(import.meta.dirname, "../../origin/command/origin.ts");
const PULL_DEADLINE_MS = 2 * 60_000;

export interface Surroundings {
  /** Before the words of the command; it must become the command's own process. */
  readonly launcher?: readonly string[];
  /** Called with each line of the log, which is shown otherwise. */
  readonly onLogLine?: (line: LogLine) => void;
}

export async function startOrigin(
  env: Readonly<Record<string, string>>,
  statePath: string,
  { launcher = [], onLogLine }: Surroundings = {},
): Promise<RunningOrigin> {
  await mkdir(statePath, { recursive: true });
  const storagePath = join(statePath, "origin");
  const [program = "", ...args] = [...launcher, process.execPath, ORIGIN_PROGRAM];
  const child = startProgram(program, args, {
    env: { ...env, NIXPORT_STATE: statePath, STORAGE_PATH: storagePath },
    stdio: ["ignore", "pipe", onLogLine === undefined ? "inherit" : "pipe"],
  });
  if (child.stderr !== null) {
    createInterface(child.stderr).on("line", (line) => onLogLine?.(parseLine(line)));
  }
  const pid = child.pid;
  if (pid === undefined || child.stdout === null) throw new Error("the origin did not start");
  const url = await new Promise<string>((found, reject) => {
    createInterface(child.stdout ?? createReadStream("/dev/null")).on("line", (line) => {
      const address = /origin at (http:\S+?),/.exec(line)?.[1];
      if (address !== undefined) found(address);
    });
    child.once("exit", (code) => reject(new Error(`the origin ended with code ${code}`)));
  });
  return {
    ...{ url, pid, storagePath },
    usedCpuSeconds: () => usedCpuSeconds(pid),
    peakRssBytes: () => peakRssBytes(pid),
    stop: () => endProgram(child),
  };
}

function parseLine(text: string): LogLine {
  const parsed = parseJson(text);
  return typeof parsed === "object" && parsed !== null ? (parsed as LogLine) : { msg: text };
}

/** `image`: with a tag, or `latest`. */
export async function pullManifest(url: string, image: string, variant: Variant): Promise<Pulled> {
  const startedMs = performance.now();
  const [name = "", tag = "latest"] = image.split(":");
  const response = await fetch(`${url}/v2/${name}/manifests/${tag}`, {
    headers: { Accept: OCI_MANIFEST, [VARIANT_HEADER]: variant },
    signal: AbortSignal.timeout(PULL_DEADLINE_MS),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const seconds = (performance.now() - startedMs) / 1000;
  const text = new TextDecoder().decode(bytes);
  if (!response.ok) throw new Error(`${image}: HTTP ${response.status} ${text}`);
  return { bytes, manifest: JSON.parse(text) as Manifest, seconds };
}

/** Under the image's own name, of which a config that is not kept is composed. */
export async function pullBlob(url: string, name: string, digest: Digest): Promise<Uint8Array> {
  const response = await fetch(`${url}/v2/${name}/blobs/${digest}`, {
    signal: AbortSignal.timeout(PULL_DEADLINE_MS),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (!response.ok) throw new Error(`${name}: HTTP ${response.status} for ${digest}`);
  return bytes;
}

export async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, "utf8")) as unknown;
}

export function blobPath(storagePath: string, digest: Digest): string {
  return join(storagePath, "layers", digestHex(digest));
}

/** Collections that hold descriptions: not layers, and not parts of layers. */
const DESCRIPTIONS = [
  ...["answered", "builds", "lookups", "manifests", "outbox", "pins", "pushed", "records"],
];

/**
 * The sizes of all stored files that layers are made of, by name: `layers/` and whatever else the
 * storage may keep for them, but no description, no unfinished file, and none of the configs.
 */
export async function storedLayers(
  storagePath: string,
  configs: ReadonlySet<Digest>,
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  const isConfig = new Set([...configs].map((digest) => `layers/${digestHex(digest)}`));
  for (const collection of await readdir(storagePath)) {
    if ([...DESCRIPTIONS, "staging"].includes(collection)) continue;
    const entries = await readdir(join(storagePath, collection), {
      recursive: true,
      withFileTypes: true,
    });
    for (const entry of entries.filter((each) => each.isFile())) {
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(storagePath.length + 1);
      if (!isConfig.has(name)) sizes.set(name, (await stat(path)).size);
    }
  }
  return sizes;
}
