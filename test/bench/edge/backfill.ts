// Gives an edge what its origin would.

import { createEdgeClient, type EdgeClient } from "../../../origin/backfill/edge-client.ts";
import { parseSecretKeys } from "../../../registry/between/token.ts";
import { OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { parsePackingId } from "../../../registry/image/record.ts";
import { parseDigest } from "../../../registry/naming/digest.ts";
import { parsePin } from "../../../registry/naming/pin.ts";
import { canonicalRecipe, parseRepository } from "../../../registry/naming/recipe.ts";
import { LATEST } from "../../../registry/naming/reference.ts";
import { type Manifest, pullBlob } from "../origins.ts";

export const SECRET = "a secret of the benchmark";

export function clientOf({ url }: { readonly url: string }): EdgeClient {
  const secretKeys = parseSecretKeys(SECRET);
  if (typeof secretKeys === "string") throw new Error(secretKeys);
  return createEdgeClient({ url, secretKeys, now: Date.now, signal: new AbortController().signal });
}

/** Gives the edge what it would have of the image once another pull had asked for it, a minute later. */
export async function keepImage(
  edge: { readonly url: string },
  name: string,
  headers: Readonly<Record<string, string>>,
) {
  const answer = await get(`${edge.url}/v2/${name}/manifests/latest`, headers);
  const { bytes } = answer;
  const { config, layers } = JSON.parse(new TextDecoder().decode(bytes)) as Manifest;
  const blobs = new Map(
    await Promise.all(
      [config, ...layers].map(
        async ({ digest }) => [digest, await pullBlob(edge.url, name, digest)] as const,
      ),
    ),
  );
  const [largest] = layers.toSorted((a, b) => b.size - a.size);
  const told = (header: string) => answer.headers.get(header) ?? "";
  const digest = parseDigest(told("Docker-Content-Digest"));
  const [pin, packing] = [parsePin(told("Nixport-Pin")), parsePackingId(told("Nixport-Packing"))];
  const named = parseRepository(name);
  if (!digest || !pin || !packing || !largest || named.kind === "invalid") {
    throw new Error("the edge told too little of the image");
  }
  const client = clientOf(edge);
  const configBytes = blobs.get(config.digest) ?? new Uint8Array();
  const recipe = canonicalRecipe({ ...named.recipe, architecture: "amd64" });
  const pointer = { recipe, tag: LATEST, variant: "oci-zstd", digest, pin, packing } as const;
  for (const put of [
    () => client.putBlob(blobToPush(config.digest, configBytes)),
    () => client.putManifest(digest, OCI_MANIFEST, bytes),
    () =>
      client.postPointers({
        tag: null,
        image: { ...pointer, resolvedAtMs: Date.now(), omitted: null },
      }),
  ]) {
    const { kind } = await put();
    if (kind !== "accepted") throw new Error(`the edge did not take the image: ${kind}`);
  }
  const kept = await get(`${edge.url}/v2/${name}/manifests/latest`, headers);
  if (!/detail=(?:kv|memory)/.test(kept.headers.get("Cache-Status") ?? "")) {
    throw new Error("the image is not kept");
  }
  const layer = { digest: largest.digest, bytes: blobs.get(largest.digest) ?? new Uint8Array() };
  return { headers: kept.headers, bytes, digest, blobs, layer };
}

function blobToPush(digest: Manifest["config"]["digest"], bytes: Uint8Array) {
  const body = new Blob([bytes as Uint8Array<ArrayBuffer>]);
  return { digest, sizeBytes: bytes.length, open: async () => body.stream() };
}

export async function get(url: string, headers: Readonly<Record<string, string>>) {
  const response = await fetch(url, { headers });
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return { headers: response.headers, bytes };
}
