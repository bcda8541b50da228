// Every client that is at hand pulls images in every form and unpacks them. All must come to the
// same files: those of the host's store, with the modes and owners that the store gives them.

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chooseVariant, VARIANT_HEADER } from "../../registry/http/negotiation.ts";
import { VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { namesOf, parseRepository } from "../../registry/naming/recipe.ts";
import { skipWhere } from "../skip-where.ts";
import { get, missingAsRoot, podmanOptions } from "./clients.ts";
import { type Containerd, startContainerd } from "./containerd.ts";
import { removeStorage, run } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";
import { type Listing, listDirectory, listLayout } from "./listing.ts";
import { type RegistryProxy, startProxy } from "./proxy.ts";
import { assertImage, assertSame, FHS_LINKS, readTruth, type Truth } from "./truth.ts";

/** How a client is asked: left to itself, or through a proxy that names the form. */
type Asked = "by itself" | Variant;

/** By themselves some clients get zstd and some gzip, so that each image comes in both. */
const IMAGES: readonly (readonly [image: string, asked: readonly Asked[]])[] = [
  ["hello", ["by itself", "oci-zstd", "oci-gzip", "docker-gzip"]],
  ["shell/git/htop", ["by itself", "oci-gzip"]],
  ["curl/htop/jq/perl/python3", ["by itself"]],
  // A link where a view below has a directory.
  ["fhs/hello", ["docker-gzip"]],
];

let deployment: Deployment;
let scratch: string;
const proxies = new Map<Asked, RegistryProxy>();
const truths = new Map<string, Truth>();
/** What the first client made of an image; the others must make the same of it. */
const firsts = new Map<string, Listing>();

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-unpack-"));
  deployment = await deploy();
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  const { edgeUrl } = deployment;
  proxies.set("by itself", await startProxy(edgeUrl));
  for (const variant of VARIANTS) {
    proxies.set(variant, await startProxy(edgeUrl, variant));
  }
  for (const [image] of IMAGES) {
    const response = await get(edgeUrl, `/v2/${image}/manifests/latest`);
    expect(response.status, await response.text()).toBe(200);
    const parsed = parseRepository(image);
    expect(parsed.kind).toBe("recipe");
    if (parsed.kind !== "recipe") continue;
    const { recipe } = parsed;
    const links = recipe.words.includes("fhs") ? FHS_LINKS : new Map();
    truths.set(image, await readTruth(namesOf(recipe), links));
  }
});

afterAll(async () => {
  for (const proxy of proxies.values()) await proxy.close();
  await deployment?.close();
  if (scratch) await removeStorage(scratch);
});

/** An image as a client is told to pull it: host, port and name. */
type Unpack = (reference: string, folder: string) => Promise<Listing>;

interface ClientUnderTest {
  readonly forms?: readonly Asked[];
  readonly unpack: Unpack;
}

function unpacksAll(client: ClientUnderTest): void {
  for (const [image, forms] of IMAGES) {
    for (const asked of forms.filter((form) => client.forms?.includes(form) ?? true)) {
      test(`unpacks ${image} in the form it is given ${asked}`, async () => {
        const folder = await mkdtemp(join(scratch, "unpacked-"));
        const proxy = found(proxies, asked);
        const from = proxy.answers.length;
        const listing = await client.unpack(`${new URL(proxy.url).host}/${image}:latest`, folder);
        await removeStorage(folder);

        const manifests = proxy.answers
          .slice(from)
          .filter(({ path }) => path.includes("/manifests/"));
        const own = new Headers(manifests[0]?.requestHeaders as Record<string, string>);
        const variant = asked === "by itself" ? chooseVariant(own, "known") : asked;
        const digests = new Set(manifests.map(({ digest }) => digest));
        expect([...digests]).toStrictEqual([await digestOf(image, variant)]);
        assertImage(listing, found(truths, image));
        const first = firsts.get(image) ?? listing;
        firsts.set(image, first);
        assertSame(listing, first);
      });
    }
  }
}

async function digestOf(image: string, variant: Variant): Promise<string | null> {
  const headers = { [VARIANT_HEADER]: variant };
  const path = `/v2/${image}/manifests/latest`;
  const response = await get(deployment.edgeUrl, path, { method: "HEAD", headers });
  return response.headers.get("docker-content-digest");
}

function found<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key): Value {
  const value = map.get(key);
  if (value === undefined) throw new Error(`nothing is known of ${key}`);
  return value;
}

function copyToLayout(reference: string, layout: string): Promise<string> {
  const source = `docker://${reference}`;
  return run("skopeo", ["copy", "--src-tls-verify=false", source, `oci:${layout}:image`]);
}

describe("skopeo copy", skipWhere(missingAsRoot("skopeo")), () => {
  unpacksAll({
    // What it gets by itself, umoci is asked to unpack, which pulls with skopeo too.
    forms: ["by itself", "docker-gzip"],
    async unpack(reference, folder) {
      await copyToLayout(reference, folder);
      return await listLayout(folder);
    },
  });
});

describe("umoci unpack", skipWhere(missingAsRoot("skopeo", "umoci")), () => {
  unpacksAll({
    // It reads no zstd. Docker's manifest is made one of OCI by skopeo, with the same layers.
    forms: ["oci-gzip", "docker-gzip"],
    async unpack(reference, folder) {
      await copyToLayout(reference, join(folder, "layout"));
      const bundle = join(folder, "bundle");
      await run("umoci", ["unpack", "--image", `${folder}/layout:image`, bundle]);
      return listDirectory(join(bundle, "rootfs"));
    },
  });
});

describe("podman pull", skipWhere(missingAsRoot("podman", "runc")), () => {
  unpacksAll({
    // Also before the version that gets zstd by itself it unpacks it.
    forms: ["by itself", "oci-zstd", "docker-gzip"],
    // Each form has a storage of its own: all have the same diff ids, so that a storage which has
    // one would unpack nothing of the others.
    async unpack(reference, folder) {
      const podman = (...args: readonly string[]) =>
        run("podman", [...podmanOptions(folder), ...args]);
      await podman("pull", "--quiet", "--tls-verify=false", reference);
      const mountPoint = (await podman("image", "mount", reference)).trim();
      const listing = listDirectory(mountPoint);
      await podman("image", "unmount", reference);
      return listing;
    },
  });
});

describe("ctr images pull", skipWhere(missingAsRoot("containerd", "ctr")), () => {
  let containerd: Containerd;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "nixport-containerd-"));
    containerd = await startContainerd(folder);
  });
  afterAll(async () => {
    await containerd?.stop();
    await removeStorage(folder);
  });

  let namespaces = 0;
  unpacksAll({
    forms: ["by itself", "oci-gzip", "docker-gzip"],
    unpack: (reference) => containerd.unpack(reference, `form-${namespaces++}`),
  });
});

describe("docker pull", skipWhere(missingAsRoot("dockerd", "docker")), () => {
  let dockerd: Dockerd;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "nixport-dockerd-"));
    dockerd = await startDockerd(folder);
  });
  afterAll(async () => {
    await dockerd?.stop();
    await removeStorage(folder);
  });

  unpacksAll({
    forms: ["by itself", "docker-gzip"],
    unpack: (reference) => dockerd.unpack(reference),
  });

  test("docker build gets what the engine reads, though BuildKit does not name the engine", async () => {
    await dockerd.build(`${new URL(found(proxies, "by itself").url).host}/hello`);
  });
});
