// One image made and given to the edge, as a client's pull would have it: each form that is wanted by tag, all
// platforms of it, until the edge answers for it and has its layers. No layer is pulled.

import { setTimeout as sleep } from "node:timers/promises";
import * as v from "valibot";
import { parseJson } from "../../registry/http/json.ts";
import { VARIANT_HEADER } from "../../registry/http/negotiation.ts";
import { isIndexType } from "../../registry/image/media-type.ts";
import { digestSchema } from "../../registry/image/record.ts";
import type { Variant } from "../../registry/image/variant.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Asked, Deployment } from "../smoke/deployment.ts";
import { type Answer, Fault } from "../smoke/fault.ts";
import { ACCEPT } from "../smoke/pulls.ts";
import type { ImageReference } from "../verify/reference.ts";

export interface WarmOptions {
  readonly deployment: Deployment;
  readonly image: ImageReference;
  readonly variants: readonly Variant[];
  readonly signal: AbortSignal;
  /** For people. */
  readonly onStep: (said: string) => void;
}

export interface WarmImage {
  /** By variant. */
  readonly digests: ReadonlyMap<Variant, Digest>;
  readonly layers: number;
}

/** What may pass by itself is asked again so often, besides what is being made. */
const MAX_TRIES = 4;
const MAX_PAUSE_SECONDS = 60;
const POLL_MS = 2000;
const HEADS_AT_ONCE = 4;

const descriptor = v.object({ digest: digestSchema });
const indexSchema = v.object({ manifests: v.pipe(v.array(descriptor), v.minLength(1)) });
const imageSchema = v.object({ config: descriptor, layers: v.array(descriptor) });

/** Throws Fault with what a client is told where there is no image. */
export async function warmImage(options: WarmOptions): Promise<WarmImage> {
  const { image, variants, onStep } = options;
  const { name, tag } = image;
  const digests = new Map<Variant, Digest>();
  const layers = new Set<Digest>();
  for (const variant of variants) {
    const asked: Asked = {
      path: `/v2/${name}/manifests/${tag}`,
      headers: { Accept: ACCEPT, [VARIANT_HEADER]: variant },
    };
    const answer = await askUntilMade(options, asked);
    digests.set(variant, digestOf(answer));
    for (const digest of await layersOf(options, answer)) layers.add(digest);
    // Only an edge says from where it has an answer.
    if (!answer.headers.has("Cache-Status")) continue;
    onStep("waiting for the edge to have it");
    await untilAtEdge(options, asked);
  }
  await untilHeld(options, [...layers]);
  return { digests, layers: layers.size };
}

async function askUntilMade({ deployment, signal }: WarmOptions, asked: Asked): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    const answer = await deployment.askWhenMade(asked);
    if (answer.status === 200) return answer;
    const seconds = Number(answer.headers.get("Retry-After") ?? Number.NaN);
    const mayPass = answer.status === 503 && seconds >= 0 && tries < MAX_TRIES;
    if (!mayPass) throw new Fault(reasonOf(answer));
    await pause(1000 * Math.min(seconds, MAX_PAUSE_SECONDS), signal);
  }
}

const errorsSchema = v.object({ errors: v.array(v.object({ message: v.string() })) });

function reasonOf({ status, bytes }: Answer): string {
  const parsed = v.safeParse(errorsSchema, parseJson(bytes));
  const [error] = parsed.success ? parsed.output.errors : [];
  return error?.message ?? `the registry answers ${status}`;
}

function digestOf({ headers }: Answer): Digest {
  const parsed = v.safeParse(digestSchema, headers.get("Docker-Content-Digest"));
  if (!parsed.success) throw new Fault("the registry answers no digest");
  return parsed.output;
}

/** Of all platforms, with their configs. */
async function layersOf(options: WarmOptions, answer: Answer): Promise<readonly Digest[]> {
  if (!isIndexType(answer.headers.get("Content-Type") ?? "")) {
    const { config, layers } = parsed(imageSchema, answer);
    return [config, ...layers].map(({ digest }) => digest);
  }
  const all: Digest[] = [];
  for (const { digest } of parsed(indexSchema, answer).manifests) {
    const path = `/v2/${options.image.name}/manifests/${digest}`;
    all.push(...(await layersOf(options, await askUntilMade(options, oneOf(path)))));
  }
  return all;
}

function oneOf(path: string): Asked {
  return { path, headers: { Accept: ACCEPT } };
}

async function untilAtEdge(options: WarmOptions, asked: Asked): Promise<void> {
  await untilTrue(options, async () => isHit(await askUntilMade(options, asked)), "the image");
}

async function untilHeld(options: WarmOptions, digests: readonly Digest[]): Promise<void> {
  const { deployment, image, onStep } = options;
  let left = digests;
  const lacks = async (digest: Digest) => {
    const path = `/v2/${image.name}/blobs/${digest}`;
    const answer = await deployment.askWhenMade({ method: "HEAD", path });
    // An origin by itself has what it has made.
    return answer.headers.has("Cache-Status") && !(answer.status === 200 && isHit(answer));
  };
  await untilTrue(
    options,
    async () => {
      left = await filtered(left, lacks);
      if (left.length > 0)
        onStep(`the edge has ${digests.length - left.length} of ${digests.length} layers`);
      return left.length === 0;
    },
    "all layers",
  );
}

async function untilTrue(
  { deployment, signal }: WarmOptions,
  isTrue: () => Promise<boolean>,
  what: string,
): Promise<void> {
  const endMs = performance.now() + deployment.waitMs;
  while (!(await isTrue())) {
    if (performance.now() + POLL_MS > endMs) {
      throw new Fault(`the edge does not have ${what} after ${deployment.waitMs / 1000} s`);
    }
    await pause(POLL_MS, signal);
  }
}

function isHit({ headers }: Pick<Answer, "headers">): boolean {
  return /^nixport; hit\b/.test(headers.get("Cache-Status") ?? "");
}

async function filtered<Each>(
  all: readonly Each[],
  isWanted: (each: Each) => Promise<boolean>,
): Promise<readonly Each[]> {
  const wanted: Each[] = [];
  const queue = all.values();
  const worker = async () => {
    for (const each of queue) if (await isWanted(each)) wanted.push(each);
  };
  await Promise.all(Array.from({ length: HEADS_AT_ONCE }, worker));
  return wanted;
}

function parsed<Schema extends v.GenericSchema>(
  schema: Schema,
  { bytes }: Answer,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, parseJson(bytes));
  if (!result.success) throw new Fault("the manifest names no config and layers, or no manifests");
  return result.output;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
