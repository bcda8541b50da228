// What is told of an image at `/api/images/`, as much of it as a recipe shows, and what it shares with images
// that somebody has already. Nothing is taken for granted of what comes over the network.

import { WIDEST_FIRST } from "../../registry/image/variant.ts";
import { type Digest, parseDigest } from "../../registry/naming/digest.ts";

export interface Layer {
  /** The same in every form: which of them is known differs from image to image, and a client has one. */
  readonly diffId: Digest;
  readonly sizeBytes: number;
}

export type ImageState =
  | {
      readonly kind: "known";
      readonly digest: Digest;
      /** Whose form only some clients read. */
      readonly isZstd: boolean;
      readonly architecture: string;
      /** Of layers and config. */
      readonly sizeBytes: number;
      readonly layers: readonly Layer[];
    }
  /** Nobody has made it yet. */
  | { readonly kind: "unknown" }
  | { readonly kind: "failed"; readonly message: string };

type Json = Readonly<Record<string, unknown>>;

/** Undefined for what is no such answer. */
export function readImageState(json: unknown): ImageState | undefined {
  const { image, architecture, errors } = fields(json);
  const [error] = list(errors).map(fields);
  // What a registry says for whatever it does not answer.
  if (error !== undefined) return { kind: "failed", message: String(error.message) };
  const { state, facts, message } = fields(image);
  switch (state) {
    case "unknown":
      return { kind: "unknown" };
    case "failed":
      return { kind: "failed", message: String(message) };
    case "known":
      return known(fields(facts), String(architecture));
    default:
      return undefined;
  }
}

function known({ variants, layers }: Json, architecture: string): ImageState | undefined {
  const forms = list(variants).map(fields);
  const form = WIDEST_FIRST.map((name) => forms.find(({ variant }) => variant === name)).find(
    Boolean,
  );
  const digest = parseDigest(String(form?.digest));
  const read = list(layers).flatMap((layer) => layerOf(fields(layer)) ?? []);
  const sizeBytes = Number(form?.sizeBytes);
  if (form === undefined || digest === undefined || read.length === 0) return undefined;
  if (!Number.isSafeInteger(sizeBytes)) return undefined;
  const isZstd = form.variant === "oci-zstd";
  return { kind: "known", digest, isZstd, architecture, sizeBytes, layers: read };
}

function layerOf({ diffId: text, sizeBytes }: Json): Layer | undefined {
  const diffId = parseDigest(String(text));
  return diffId !== undefined && Number.isSafeInteger(sizeBytes)
    ? { diffId, sizeBytes: Number(sizeBytes) }
    : undefined;
}

export interface Sharing {
  readonly totalBytes: number;
  /** Of the layers that one of the others has too. */
  readonly sharedBytes: number;
}

/** A layer that an image has twice is fetched once. */
export function sharingOf(layers: readonly Layer[], others: readonly Layer[]): Sharing {
  const distinct = new Map(layers.map((layer) => [layer.diffId, layer.sizeBytes]));
  const present = new Set(others.map(({ diffId }) => diffId));
  let [totalBytes, sharedBytes] = [0, 0];
  for (const [diffId, sizeBytes] of distinct) {
    totalBytes += sizeBytes;
    if (present.has(diffId)) sharedBytes += sizeBytes;
  }
  return { totalBytes, sharedBytes };
}

function fields(json: unknown): Json {
  return typeof json === "object" && json !== null ? (json as Json) : {};
}

function list(json: unknown): readonly unknown[] {
  return Array.isArray(json) ? json : [];
}
