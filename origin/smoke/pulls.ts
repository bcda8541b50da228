// Checks of a pull: that what comes is what was asked for, by tag, by digest and in parts, and that its
// headers are those that clients and caches go by.

import { setTimeout as sleep } from "node:timers/promises";
import * as v from "valibot";
import { parseJson } from "../../registry/http/json.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  isIndexType,
  isManifestType,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../registry/image/media-type.ts";
import { digestSchema } from "../../registry/image/record.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { Deployment } from "./deployment.ts";
import { type Answer, codeOf, Fault, requireHeader, requireStatus } from "./fault.ts";

/** A manifest that was found to be what its digest names. */
export interface Pulled {
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** Those of the first image, where it is an index. */
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

interface Descriptor {
  readonly digest: Digest;
  readonly size: number;
}

export const ACCEPT = [OCI_INDEX, DOCKER_MANIFEST_LIST, OCI_MANIFEST, DOCKER_MANIFEST].join(", ");
const descriptorSchema = v.object({ digest: digestSchema, size: v.number() });
const indexSchema = v.object({ manifests: v.pipe(v.array(descriptorSchema), v.minLength(1)) });
const imageSchema = v.object({
  config: descriptorSchema,
  layers: v.pipe(v.array(descriptorSchema), v.minLength(1)),
});
const IMMUTABLE = /max-age=31536000, immutable, no-transform/;
const RANGE_BYTES = 100;
const MAX_BACKFILL_MS = 60_000;
const BACKFILL_POLL_MS = 2_000;

export async function pullByTag(
  deployment: Deployment,
  repository: string,
  tag: string,
): Promise<Pulled> {
  const path = `/v2/${repository}/manifests/${tag}`;
  const answer = await deployment.askWhenMade({ path, headers: { Accept: ACCEPT } });
  const digest = await requireManifest(path, answer);
  // What a tag answers depends on the client, and on the time.
  requireHeader(path, answer, "Cache-Control", /^(?:private, )?no-store, no-transform$/);
  const image = await imageOf(deployment, repository, answer);
  return { repository, tag, digest, bytes: answer.bytes, ...image };
}

/** That the edge answers it by itself, once its origin has given it what it needs. */
export async function pullWarm(deployment: Deployment, pulled: Pulled): Promise<string> {
  const endMs = performance.now() + Math.min(deployment.waitMs, MAX_BACKFILL_MS);
  for (;;) {
    const status = await cacheStatusOf(deployment, pulled);
    const tier = /nixport; hit; detail=(\w+)/.exec(status)?.[1];
    if (tier !== undefined) return `from ${tier}`;
    if (performance.now() > endMs) {
      throw new Fault(`the edge does not answer it by itself (Cache-Status: ${status})`);
    }
    await sleep(BACKFILL_POLL_MS);
  }
}

async function cacheStatusOf(
  deployment: Deployment,
  { repository, tag, digest }: Pulled,
): Promise<string> {
  const path = `/v2/${repository}/manifests/${tag}`;
  const answer = await deployment.ask({ path, headers: { Accept: ACCEPT } });
  const seen = await requireManifest(path, answer);
  if (seen !== digest) throw new Fault(`${path} was ${digest}, and is ${seen}`);
  return answer.headers.get("Cache-Status") ?? "none";
}

export async function pullByDigest(
  deployment: Deployment,
  { repository, digest, bytes }: Pulled,
): Promise<string> {
  const path = `/v2/${repository}/manifests/${digest}`;
  const answer = await deployment.ask({ path, headers: { Accept: ACCEPT } });
  const seen = await requireManifest(path, answer);
  if (seen !== digest || Buffer.compare(answer.bytes, bytes) !== 0) {
    throw new Fault(`${path} is ${seen}`);
  }
  requireImmutable(deployment, path, answer);
  const version = { "If-None-Match": `"${digest}"`, Accept: ACCEPT };
  const unchanged = await deployment.ask({ path, headers: version });
  requireStatus(`${path} for who has it`, unchanged, 304);
  return `${bytes.length} bytes, 304 for who has them`;
}

export async function askHeads(
  deployment: Deployment,
  { repository, tag, digest, bytes, config }: Pulled,
): Promise<string> {
  const expected: readonly (readonly [path: string, sizeBytes: number, digest: Digest])[] = [
    [`/v2/${repository}/manifests/${tag}`, bytes.length, digest],
    [`/v2/${repository}/manifests/${digest}`, bytes.length, digest],
    [`/v2/${repository}/blobs/${config.digest}`, config.size, config.digest],
  ];
  for (const [path, sizeBytes, named] of expected) {
    const answer = await deployment.ask({ method: "HEAD", path, headers: { Accept: ACCEPT } });
    const what = `HEAD ${path}`;
    requireStatus(what, answer, 200);
    requireHeader(what, answer, "Content-Length", new RegExp(`^${sizeBytes}$`));
    requireHeader(what, answer, "Docker-Content-Digest", new RegExp(`^${named}$`));
  }
  return `${expected.length} as GET has them`;
}

/** All of them, whole. */
export async function pullBlobs(
  deployment: Deployment,
  { repository, config, layers }: Pulled,
): Promise<string> {
  let totalBytes = 0;
  for (const { digest, size } of [config, ...layers]) {
    const path = `/v2/${repository}/blobs/${digest}`;
    const answer = await deployment.stream(path);
    requireStatus(path, answer, 200);
    if (answer.digest !== digest) throw new Fault(`${path} arrives as ${answer.digest}`);
    if (answer.sizeBytes !== size) {
      throw new Fault(`${path} has ${answer.sizeBytes} bytes, and its manifest says ${size}`);
    }
    requireHeader(path, answer, "Content-Length", new RegExp(`^${size}$`));
    requireHeader(path, answer, "Docker-Content-Digest", new RegExp(`^${digest}$`));
    requireHeader(path, answer, "Content-Type", /^application\/octet-stream$/);
    requireHeader(path, answer, "Cache-Control", /no-transform/);
    totalBytes += size;
  }
  return `${layers.length} layers and a config, ${(totalBytes / 1e6).toFixed(1)} MB`;
}

/** As a client asks that goes on where a connection broke. */
export async function pullRanges(
  deployment: Deployment,
  { repository, config }: Pulled,
): Promise<string> {
  const path = `/v2/${repository}/blobs/${config.digest}`;
  const whole = (await deployment.ask({ path })).bytes;
  const last = Math.min(RANGE_BYTES, whole.length) - 1;
  const ranges = [
    [`bytes=0-${last}`, 0, last + 1],
    [`bytes=${last}-`, last, whole.length],
    ["bytes=-10", whole.length - 10, whole.length],
  ] as const;
  for (const [range, start, end] of ranges) {
    const what = `${path} ${range}`;
    const answer = await deployment.ask({ path, headers: { Range: range } });
    requireStatus(what, answer, 206);
    const told = `^bytes ${start}-${end - 1}/${whole.length}$`;
    requireHeader(what, answer, "Content-Range", new RegExp(told));
    if (Buffer.compare(answer.bytes, whole.subarray(start, end)) !== 0) {
      throw new Fault(`${what} gives other bytes than the whole has there`);
    }
  }
  const beyond = { Range: `bytes=${whole.length}-` };
  const answer = await deployment.ask({ path, headers: beyond });
  requireStatus(`${path} past its end`, answer, 416);
  const total = new RegExp(`^bytes \\*/${whole.length}$`);
  requireHeader(`${path} past its end`, answer, "Content-Range", total);
  return `${ranges.length} of them, and 416 past the end`;
}

/** The digest that its bytes have, once it is found to be what the headers say. */
async function requireManifest(path: string, answer: Answer): Promise<Digest> {
  if (answer.status !== 200) {
    throw new Fault(`${path} is ${answer.status} ${codeOf(answer) ?? ""}`.trimEnd());
  }
  const { headers, bytes } = answer;
  if (!isManifestType(headers.get("Content-Type") ?? "")) {
    throw new Fault(`${path} is of no manifest's type: ${headers.get("Content-Type")}`);
  }
  const digest = await digestOf(bytes);
  requireHeader(path, answer, "Docker-Content-Digest", new RegExp(`^${digest}$`));
  requireHeader(path, answer, "Content-Length", new RegExp(`^${bytes.length}$`));
  requireHeader(path, answer, "ETag", new RegExp(`^"${digest}"$`));
  return digest;
}

/** What needs a login may be kept by no cache that others have. */
function requireImmutable({ credentials }: Deployment, path: string, answer: Answer): void {
  const isPrivate =
    credentials !== null && /^private/.test(answer.headers.get("Cache-Control") ?? "");
  if (!isPrivate) requireHeader(path, answer, "Cache-Control", IMMUTABLE);
}

async function imageOf(
  deployment: Deployment,
  repository: string,
  { headers, bytes }: Answer,
): Promise<v.InferOutput<typeof imageSchema>> {
  if (!isIndexType(headers.get("Content-Type") ?? "")) return parsed(imageSchema, bytes);
  const [first] = parsed(indexSchema, bytes).manifests;
  const path = `/v2/${repository}/manifests/${first?.digest}`;
  const answer = await deployment.askWhenMade({ path, headers: { Accept: ACCEPT } });
  await requireManifest(path, answer);
  return parsed(imageSchema, answer.bytes);
}

function parsed<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Uint8Array,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, parseJson(bytes));
  if (!result.success) throw new Fault("the manifest names no config and layers, or no manifests");
  return result.output;
}
