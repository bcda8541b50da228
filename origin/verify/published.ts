// What a registry answers for a reference: the manifest and config of an image, checked against
// their digests, and what they say of how the image was made.

import * as v from "valibot";
import { readLimited } from "../../registry/body.ts";
import { PIN_HEADER } from "../../registry/content.ts";
import { type Digest, digestOf } from "../../registry/digest.ts";
import { parseJson } from "../../registry/json.ts";
import { DOCKER_MANIFEST, OCI_MANIFEST } from "../../registry/media-type.ts";
import { type Pin, parsePin } from "../../registry/pin.ts";
import { ARCHITECTURES, type Architecture } from "../../registry/recipe.ts";
import { digestSchema } from "../../registry/record.ts";
import type { Tag } from "../../registry/reference.ts";
import { VARIANT_HEADER, VARIANT_TYPES, VARIANTS, type Variant } from "../../registry/variant.ts";
import { fetchProblem } from "../fetch-problem.ts";

export interface ImageReference {
  /** `http://127.0.0.1:8787`, without a final slash. */
  readonly registryUrl: string;
  readonly name: string;
  readonly tag: Tag;
}

/** What of an image its digest is made of. */
export interface ImageContent {
  readonly digest: Digest;
  readonly architecture: Architecture;
  readonly configDigest: Digest;
  /** Bottom first. */
  readonly layers: readonly LayerContent[];
}

export interface LayerContent {
  readonly digest: Digest;
  readonly diffId: Digest;
  /** What its image says of it, such as `links: git-2.39.5`. */
  readonly holds: string;
}

export type Published =
  | {
      readonly kind: "published";
      readonly content: ImageContent;
      readonly pin: Pin;
      readonly variant: Variant;
    }
  | { readonly kind: "not-published"; readonly reason: string };

const DEADLINE_MS = 120_000;
/** A config of 125 layers and 64 packages has some 30 kB. */
const MAX_BODY_BYTES = 8 << 20;

export interface Manifest {
  readonly mediaType: string;
  readonly config: { readonly digest: Digest };
  readonly layers: readonly { readonly mediaType: string; readonly digest: Digest }[];
}

const manifestSchema: v.GenericSchema<unknown, Manifest> = v.object({
  mediaType: v.string(),
  config: v.object({ digest: digestSchema }),
  layers: v.pipe(
    v.array(v.object({ mediaType: v.string(), digest: digestSchema })),
    v.minLength(1),
  ),
});
const configSchema = v.object({
  architecture: v.picklist(ARCHITECTURES),
  rootfs: v.object({ diff_ids: v.array(digestSchema) }),
  history: v.array(v.object({ created_by: v.string() })),
});

export async function fetchPublished(
  { registryUrl, name, tag }: ImageReference,
  wanted: Variant | null,
  signal: AbortSignal,
): Promise<Published> {
  const headers = {
    Accept: `${OCI_MANIFEST}, ${DOCKER_MANIFEST}`,
    ...(wanted !== null && { [VARIANT_HEADER]: wanted }),
  };
  const repository = `${registryUrl}/v2/${name}`;
  const answer = await get(`${repository}/manifests/${tag}`, headers, signal);
  if (typeof answer === "string") return notPublished(answer);
  const manifest = parseManifest(answer.bytes);
  if (manifest === undefined) return notPublished("the answer is no image manifest");
  const variant = variantOf(manifest);
  if (variant === undefined) return notPublished("its media types are of no form known here");
  const pin = parsePin(answer.headers.get(PIN_HEADER) ?? "");
  if (pin === undefined) {
    return notPublished(`the answer does not say of which revision it is: no ${PIN_HEADER}`);
  }
  const blob = await get(`${repository}/blobs/${manifest.config.digest}`, {}, signal);
  if (typeof blob === "string") return notPublished(blob);
  const content = await contentOf(manifest, answer.bytes, blob.bytes);
  return typeof content === "string"
    ? notPublished(content)
    : { kind: "published", content, pin, variant };
}

export function parseManifest(bytes: Uint8Array): Manifest | undefined {
  const parsed = v.safeParse(manifestSchema, parseJson(bytes));
  return parsed.success ? parsed.output : undefined;
}

/** Or what is wrong with the config. */
export async function contentOf(
  manifest: Manifest,
  manifestBytes: Uint8Array,
  configBytes: Uint8Array,
): Promise<ImageContent | string> {
  const configDigest = await digestOf(configBytes);
  if (configDigest !== manifest.config.digest) return "the config is not what the manifest names";
  const parsed = v.safeParse(configSchema, parseJson(configBytes));
  if (!parsed.success) return "the config is no image config";
  const { architecture, rootfs, history } = parsed.output;
  const layers = manifest.layers.flatMap(({ digest }, index) => {
    const diffId = rootfs.diff_ids[index];
    const holds = (history[index]?.created_by ?? "").replace(/^nixport /, "");
    return diffId === undefined ? [] : [{ digest, diffId, holds }];
  });
  if (layers.length !== manifest.layers.length) return "the config has too few diff ids";
  return { digest: await digestOf(manifestBytes), architecture, configDigest, layers };
}

function variantOf({ mediaType, layers }: Manifest): Variant | undefined {
  return VARIANTS.find((variant) => {
    const types = VARIANT_TYPES[variant];
    return types.manifest === mediaType && layers.every((each) => each.mediaType === types.layer);
  });
}

interface Answer {
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

/** Or why there is none, in the registry's own words. */
async function get(
  url: string,
  headers: Readonly<Record<string, string>>,
  stop: AbortSignal,
): Promise<Answer | string> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(DEADLINE_MS)]);
  try {
    const response = await fetch(url, { headers, signal });
    const bytes = await readLimited(response.body, MAX_BODY_BYTES);
    if (bytes === undefined) return `${url} answers more than ${MAX_BODY_BYTES} bytes`;
    if (response.ok) return { headers: response.headers, bytes };
    return `${url} answers ${response.status}: ${errorMessage(bytes)}`;
  } catch (error) {
    stop.throwIfAborted();
    return `${url} cannot be reached: ${fetchProblem(error)}`;
  }
}

const MAX_MESSAGE_CHARACTERS = 1000;
const errorSchema = v.object({ errors: v.array(v.object({ message: v.string() })) });

function errorMessage(bytes: Uint8Array): string {
  const parsed = v.safeParse(errorSchema, parseJson(bytes));
  const text = parsed.success
    ? parsed.output.errors.map(({ message }) => message).join("; ")
    : new TextDecoder().decode(bytes).trim();
  return text.slice(0, MAX_MESSAGE_CHARACTERS);
}

function notPublished(reason: string): Published {
  return { kind: "not-published", reason };
}
