// Real clients as tests start them: skopeo, podman, and plain HTTP.

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { join } from "node:path";
import { digestOf } from "../../registry/naming/digest.ts";

export interface ClientResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Bounded, so that a client that waits for ever fails its test. */
const CLIENT_DEADLINE_MS = 180_000;

export function runClient(program: string, args: readonly string[]): ClientResult {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: "utf8",
    timeout: CLIENT_DEADLINE_MS,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error !== undefined) throw error;
  return { code: status, stdout, stderr };
}

/** They unpack with owners and mount, which only root may everywhere. */
const FOR_ROOT: ReadonlySet<string> = new Set([
  "podman",
  "buildah",
  "ctr",
  "containerd",
  "dockerd",
]);

/** Why the tests of a client, or of several, cannot run here, or false. */
export function missingClient(...programs: readonly string[]): string | false {
  for (const program of programs) {
    if (FOR_ROOT.has(program) && process.getuid?.() !== 0) return `${program} is run as root`;
    const { error } = spawnSync(program, ["--version"]);
    if (error !== undefined) return `${program} is not installed`;
  }
  return false;
}

/** The same of those that unpack with owners, or mount. */
export function missingAsRoot(...programs: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return "unpacking with owners and mounting needs root";
  return missingClient(...programs);
}

export function skopeoCopy(registryUrl: string, image: string, target: string): ClientResult {
  const reference = `docker://${new URL(registryUrl).host}/${image}`;
  return runClient("skopeo", ["copy", "--src-tls-verify=false", reference, target]);
}

/** Runs a command in an image, with the flags that work as root in a container (runc, no cgroups v2). */
export function podmanRun(
  storage: string,
  registryUrl: string,
  image: string,
  command: readonly string[],
): ClientResult {
  return runClient("podman", [
    ...podmanOptions(storage),
    ...["run", "--rm", "--network=none", "--tls-verify=false", "--quiet"],
    ...["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"],
    `${new URL(registryUrl).host}/${image}`,
    ...command,
  ]);
}

/** Everything of podman's in one folder: tests that run side by side share nothing of the host's. */
export function podmanOptions(storage: string): readonly string[] {
  return [
    ...["--root", join(storage, "root"), "--runroot", join(storage, "run")],
    // Else a reset takes /run/libpod away from every other podman of the machine.
    ...["--tmpdir", join(storage, "libpod")],
    ...["--storage-driver", "overlay", "--runtime", "runc"],
  ];
}

/** podman's overlay storage holds mounts and read-only trees that a plain removal cannot take. */
export function podmanReset(storage: string): void {
  runClient("podman", [...podmanOptions(storage), "system", "reset", "--force"]);
}

export interface PulledManifest {
  /** Without a tag. */
  readonly name: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly config: { readonly digest: string };
  readonly layers: readonly {
    readonly digest: string;
    readonly size: number;
    readonly mediaType: string;
  }[];
  readonly headers: Headers;
}

/** Fetches a manifest as an OCI client does, and checks it against the digest it came with. */
export async function pullManifest(registryUrl: string, image: string): Promise<PulledManifest> {
  const [name = "", reference = "latest"] = image.split(/[:@](.*)/s);
  const response = await get(registryUrl, `/v2/${name}/manifests/${reference}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (!response.ok) {
    throw new Error(`${image}: HTTP ${response.status} ${new TextDecoder().decode(bytes)}`);
  }
  const digest = await digestOf(bytes);
  if (response.headers.get("docker-content-digest") !== digest) {
    throw new Error(`${image}: the digest in the header is not that of the body`);
  }
  const manifest = JSON.parse(new TextDecoder().decode(bytes)) as PulledManifest;
  return { ...manifest, name, digest, headers: response.headers };
}

/** Where clients are held shortly: a busy machine needs longer for what is built at once. */
export async function pullWhenMade(registryUrl: string, image: string): Promise<void> {
  for (;;) {
    const response = await get(registryUrl, `/v2/${image}/manifests/latest`);
    await response.body?.cancel();
    if (response.ok) return;
    if (response.status !== 503) throw new Error(`${image}: HTTP ${response.status}`);
  }
}

export function get(registryUrl: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(new URL(path, registryUrl), {
    headers: { Accept: "application/vnd.oci.image.manifest.v1+json", "User-Agent": "test" },
    signal: AbortSignal.timeout(CLIENT_DEADLINE_MS),
    ...init,
  });
}

/** The text of an answer. Unlike fetch, which always says that it is Node, it may say nothing of itself. */
export async function getPlainly(url: string, accept: string, agent?: string): Promise<string> {
  const headers = { Accept: accept, ...(agent !== undefined && { "User-Agent": agent }) };
  const [response] = await once(request(url, { headers }).end(), "response");
  const parts: Buffer[] = await response.toArray();
  return Buffer.concat(parts).toString();
}

/** The blobs of a manifest that a registry does not hold. */
export async function missingBlobs(
  registryUrl: string,
  { name, config, layers }: PulledManifest,
): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const { digest } of [config, ...layers]) {
    const response = await get(registryUrl, `/v2/${name}/blobs/${digest}`, { method: "HEAD" });
    if (response.status !== 200) missing.push(digest);
  }
  return missing;
}
