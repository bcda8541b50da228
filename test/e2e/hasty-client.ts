// A client that behaves as containerd 2.3 does: it gives up when no headers have come for a while, and
// asks again at once after what it takes for a passing reason, whatever Retry-After says.

import { digestOf } from "../../registry/naming/digest.ts";

const AGENT = "containerd/v2.3.1";
/** How often, as its source has it; it fails with the answer behind the last of them. */
const ASKED_AGAIN: ReadonlyMap<number, number> = new Map([
  [408, 4],
  [429, 4],
  [503, 1],
]);
const ACCEPT =
  "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";

export interface HastyClient {
  readonly registryUrl: string;
  /** 30 s, were it the real one. */
  readonly headersWaitMs: number;
  /** Of the answers to its first request, which resolves the tag, as they come. */
  readonly statuses: number[];
}

/** Resolves the tag, fetches the manifest and every blob, and gives the digest. */
export async function pullHastily(client: HastyClient, image: string): Promise<string> {
  const head = await ask(client, "HEAD", `/v2/${image}/manifests/latest`, client.statuses);
  const digest = head.headers.get("Docker-Content-Digest") ?? "";
  const got = await ask(client, "GET", `/v2/${image}/manifests/${digest}`);
  const bytes = new Uint8Array(await got.arrayBuffer());
  if ((await digestOf(bytes)) !== digest) throw new Error(`${image}: not what ${digest} names`);
  const { config, layers } = JSON.parse(new TextDecoder().decode(bytes)) as Manifest;
  for (const blob of [config, ...layers]) {
    await (await ask(client, "GET", `/v2/${image}/blobs/${blob.digest}`)).arrayBuffer();
  }
  return digest;
}

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

async function ask(
  { registryUrl, headersWaitMs }: HastyClient,
  method: string,
  path: string,
  statuses: number[] = [],
): Promise<Response> {
  for (;;) {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), headersWaitMs);
    const response = await fetch(new URL(path, registryUrl), {
      ...{ method, headers: { Accept: ACCEPT, "User-Agent": AGENT }, signal: patience.signal },
    }).finally(() => clearTimeout(timer));
    statuses.push(response.status);
    if (response.ok) return response;
    const text = await response.text();
    const times = statuses.filter((status) => status === response.status).length;
    if (times > (ASKED_AGAIN.get(response.status) ?? 0)) {
      throw new Error(`${path}: ${statuses.join(", ")} ${text}`);
    }
  }
}
