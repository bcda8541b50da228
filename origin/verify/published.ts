// What a registry answers for a reference: the manifest and config of an image and the popularity
// data it was made with, checked against their digests, and what they say of how it was made.

import * as v from "valibot";
import { PACKING_HEADER, PIN_HEADER } from "../../registry/http/content.ts";
import { parseJson } from "../../registry/http/json.ts";
import { VARIANT_HEADER } from "../../registry/http/negotiation.ts";
import { DOCKER_MANIFEST, OCI_MANIFEST } from "../../registry/image/media-type.ts";
import {
  digestSchema,
  type PackingId,
  parsePackingId,
  popularityBlob,
} from "../../registry/image/record.ts";
import { VARIANT_TYPES, VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import { type Pin, parsePin } from "../../registry/naming/pin.ts";
import { ARCHITECTURES, type Architecture } from "../../registry/naming/recipe.ts";
import type { ImageReference } from "./reference.ts";
import type { RegistryClient } from "./registry-client.ts";

/** What of an image its digest is made of. */
export interface ImageContent {
  readonly digest: Digest;
  readonly architecture: Architecture;
  readonly packing: PackingId;
  readonly variant: Variant;
  /** JSON, as they are written. */
  readonly manifest: unknown;
  readonly config: unknown;
  /** Bottom first. */
  readonly layers: readonly LayerContent[];
  /** The stored bytes of a layer. Throws when they are not to be had. */
  readonly open: (layer: Digest) => AsyncIterable<Uint8Array>;
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
      /** The text of the popularity data its layers were cut by. */
      readonly popularity: string;
    }
  | { readonly kind: "not-published"; readonly reason: string };

/** Of a packing without popularity data. */
const NO_DATA = "{}";

interface Manifest {
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
  registry: RegistryClient,
  { name, tag }: Pick<ImageReference, "name" | "tag">,
  wanted: Variant | null,
): Promise<Published> {
  const repository = `/v2/${name}`;
  const answer = await registry.read(`${repository}/manifests/${tag}`, {
    Accept: `${OCI_MANIFEST}, ${DOCKER_MANIFEST}`,
    ...(wanted !== null && { [VARIANT_HEADER]: wanted }),
  });
  if (typeof answer === "string") return notPublished(answer);
  const pin = parsePin(answer.headers.get(PIN_HEADER) ?? "");
  const packing = parsePackingId(answer.headers.get(PACKING_HEADER) ?? "");
  if (pin === undefined) {
    return notPublished(`the answer does not say of which revision it is: no ${PIN_HEADER}`);
  }
  if (packing === undefined) {
    return notPublished(`the answer does not say how it was packed: no ${PACKING_HEADER}`);
  }
  const blob = (digest: Digest) => `${repository}/blobs/${digest}`;
  const content = await contentOf(answer.bytes, packing, {
    read: async (digest) => {
      const config = await registry.read(blob(digest));
      return typeof config === "string" ? config : config.bytes;
    },
    open: (digest) => registry.stream(blob(digest)),
  });
  if (typeof content === "string") return notPublished(content);
  const data = popularityBlob(packing);
  if (data === null) return { kind: "published", content, pin, popularity: NO_DATA };
  const told = await registry.read(blob(data));
  if (typeof told === "string") return notPublished(`of its popularity data ${told}`);
  if ((await digestOf(told.bytes)) !== data) {
    return notPublished("the popularity data are not those that its packing names");
  }
  return { kind: "published", content, pin, popularity: new TextDecoder().decode(told.bytes) };
}

export interface Blobs {
  /** Whole; or why not. */
  read(digest: Digest): Promise<Uint8Array | string>;
  open(digest: Digest): AsyncIterable<Uint8Array>;
}

/** Or what is wrong with it. */
export async function contentOf(
  manifestBytes: Uint8Array,
  packing: PackingId,
  { read, open }: Blobs,
): Promise<ImageContent | string> {
  const json = parseJson(manifestBytes);
  const parsedManifest = v.safeParse(manifestSchema, json);
  if (!parsedManifest.success) return "the answer is no image manifest";
  const manifest = parsedManifest.output;
  const variant = variantOf(manifest);
  if (variant === undefined) return "its media types are of no form known here";
  const configBytes = await read(manifest.config.digest);
  if (typeof configBytes === "string") return configBytes;
  const configDigest = await digestOf(configBytes);
  if (configDigest !== manifest.config.digest) return "the config is not what the manifest names";
  const config = parseJson(configBytes);
  const parsed = v.safeParse(configSchema, config);
  if (!parsed.success) return "the config is no image config";
  const { architecture, rootfs, history } = parsed.output;
  const layers = manifest.layers.flatMap(({ digest }, index) => {
    const diffId = rootfs.diff_ids[index];
    const holds = (history[index]?.created_by ?? "").replace(/^nixport /, "");
    return diffId === undefined ? [] : [{ digest, diffId, holds }];
  });
  if (layers.length !== manifest.layers.length) return "the config has too few diff ids";
  const digest = await digestOf(manifestBytes);
  return { digest, architecture, packing, variant, manifest: json, config, layers, open };
}

function variantOf({ mediaType, layers }: Manifest): Variant | undefined {
  return VARIANTS.find((variant) => {
    const types = VARIANT_TYPES[variant];
    return types.manifest === mediaType && layers.every((each) => each.mediaType === types.layer);
  });
}

function notPublished(reason: string): Published {
  return { kind: "not-published", reason };
}
