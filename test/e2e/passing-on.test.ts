// What clients do with an image besides running it: they save, convert and pass it on, and serve it
// to others from a cache. Whatever they make of it, the next program reads.

import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chooseVariant } from "../../registry/http/negotiation.ts";
import { DOCKER_MANIFEST, OCI_MANIFEST } from "../../registry/image/media-type.ts";
import { VARIANTS } from "../../registry/image/variant.ts";
import { WRITES_TABLES } from "../client-tables.ts";
import { hidesHost } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { getPlainly, missingClient, podmanOptions } from "./clients.ts";
import { type Containerd, startContainerd } from "./containerd.ts";
import { removeStorage, run } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import {
  digestsByForm,
  expectDigests,
  type Noted,
  noteDigest,
  writeDigests,
} from "./digest-table.ts";
import {
  type DockerRegistry,
  missingDockerRegistry,
  startDockerRegistry,
} from "./docker-registry.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";
import { type Listing, listDirectory, listLayout } from "./listing.ts";
import { plantPlainSet } from "./plain-set.ts";
import { type RegistryProxy, startProxy } from "./proxy.ts";

const NAME = process.arch === "arm64" ? "arm64/greeting" : "greeting";
const TAGGED = `${NAME}:latest`;
const PAGE = "docs/clients.md";

let scratch: string;
let deployment: Deployment;
/** In front of the edge, where it notes what clients say of themselves and what they get. */
let proxy: RegistryProxy;
/** Where clients push to. */
let target: DockerRegistry | undefined;
let cache: DockerRegistry | undefined;
let dockerd: Dockerd | undefined;
let containerd: Containerd | undefined;

function missing(...programs: readonly string[]): string | false {
  const reasons = programs.map((program) =>
    program === "docker-registry" ? missingDockerRegistry() : missingClient(program),
  );
  return reasons.find((reason) => reason !== false) ?? false;
}
const DOCKER = missing("dockerd", "docker");

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-passing-on-"));
  deployment = await deploy({ packages: await plantPlainSet(scratch) });
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  proxy = await startProxy(deployment.edgeUrl);
  if (!missing("docker-registry")) {
    target = await startDockerRegistry(join(scratch, "target"));
    cache = await startDockerRegistry(join(scratch, "cache"), proxy.url);
  }
  if (!DOCKER) dockerd = await startDockerd(join(scratch, "dockerd"));
  if (!missing("containerd", "ctr")) containerd = await startContainerd(join(scratch, "ctrd"));
});

afterAll(async () => {
  for (const daemon of [dockerd, containerd, cache, target]) await daemon?.stop();
  await proxy?.close();
  await deployment?.close();
  if (scratch) await removeStorage(scratch);
});

function started<Service>(service: Service | undefined): Service {
  if (service === undefined) throw new Error("it was not started");
  return service;
}

const hostOf = ({ url }: { readonly url: string }) => new URL(url).host;
const own = () => mkdtemp(join(scratch, "of-a-test-"));

function holdsGreeting(listing: Listing): void {
  expect(listing.has("bin/greeting")).toBe(true);
  expect([...listing.keys()].some((path) => /greeting-1\.0\/bin\/greeting$/.test(path))).toBe(true);
}

/** What Docker's engine of this machine makes of an archive: of all that reads one, the strictest. */
async function loads(archive: string, reference: string): Promise<void> {
  if (dockerd !== undefined) holdsGreeting(await dockerd.load(archive, reference));
}

const notes: Noted[] = [];

/** Notes what a client got of the tag. */
async function noted<Result>(client: string, pull: () => Promise<Result>): Promise<Result> {
  const { result, answer } = await noteDigest(proxy, pull);
  notes.push({ client, answer });
  return result;
}

describe("skopeo copy", skipWhere(hidesHost || missing("skopeo")), () => {
  const copy = (to: string, ...options: readonly string[]) =>
    noted("skopeo copy", () =>
      run("skopeo", [
        ...["copy", "--src-tls-verify=false", "--dest-tls-verify=false", ...options],
        ...[`docker://${hostOf(proxy)}/${TAGGED}`, to],
      ]),
    );

  test("writes an archive of Docker's, which the engine loads", async () => {
    const archive = join(await own(), "image.tar");
    await copy(`docker-archive:${archive}:saved/greeting:skopeo`);
    await loads(archive, "saved/greeting:skopeo");
  });

  test("hands an image to Docker's engine", skipWhere(DOCKER), async () => {
    const { address } = started(dockerd);
    const host = ["--dest-daemon-host", address];
    await copy("docker-daemon:handed/greeting:latest", ...host);
  });

  test("converts to Docker's schema 2", async () => {
    const folder = join(await own(), "image");
    await copy(`dir:${folder}`, "--format", "v2s2");
    const { mediaType } = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
    expect(mediaType).toBe(DOCKER_MANIFEST);
  });

  test("passes on to a registry as schema 2", skipWhere(missing("docker-registry")), async () => {
    const to = `${hostOf(started(target))}/skopeo:v2s2`;
    await copy(`docker://${to}`, "--format", "v2s2");
    if (dockerd !== undefined) holdsGreeting(await dockerd.unpack(to));
  });

  test("copies for umoci, which unpacks it", skipWhere(missing("skopeo", "umoci")), async () => {
    const folder = await own();
    await copy(`oci:${folder}/layout:image`);
    const bundle = join(folder, "bundle");
    await run("umoci", ["unpack", "--image", `${folder}/layout:image`, bundle]);
    holdsGreeting(listDirectory(join(bundle, "rootfs")));
    holdsGreeting(await listLayout(join(folder, "layout")));
  });
});

describe("podman", skipWhere(missing("podman", "runc")), () => {
  let podman: (...args: readonly string[]) => Promise<string>;
  const reference = () => `${hostOf(proxy)}/${TAGGED}`;
  beforeAll(async () => {
    const options = podmanOptions(join(scratch, "podman"));
    podman = (...args) => run("podman", [...options, ...args]);
    await noted("podman pull", () => podman("pull", "--tls-verify=false", reference()));
  });

  test.each(["docker-archive", "oci-archive"])("saves what it pulled as %s", async (format) => {
    const archive = join(await own(), "image.tar");
    await podman("save", "--format", format, "--output", archive, reference());
    if (format === "docker-archive") await loads(archive, reference());
  });

  test.each(["v2s2", "oci"])(
    "pushes what it pulled as %s",
    skipWhere(missing("docker-registry")),
    async (format) => {
      const to = `${hostOf(started(target))}/podman:${format}`;
      await podman("push", "--tls-verify=false", "--format", format, reference(), to);
      if (dockerd !== undefined) holdsGreeting(await dockerd.unpack(to));
    },
  );
});

describe("buildah", skipWhere(missing("buildah", "runc")), () => {
  let buildah: (...args: readonly string[]) => Promise<string>;
  let container: string;
  beforeAll(async () => {
    const folder = join(scratch, "buildah");
    const places = ["--root", join(folder, "root"), "--runroot", join(folder, "run")];
    buildah = (...args) => run("buildah", [...places, "--storage-driver", "vfs", ...args]);
    const from = ["from", "--tls-verify=false", `${hostOf(proxy)}/${TAGGED}`];
    container =
      (await noted("buildah from", () => buildah(...from))).trim().split("\n").at(-1) ?? "";
  });

  test.each(["docker", "oci"])(
    "builds on an image and pushes the result as %s",
    skipWhere(missing("docker-registry")),
    async (format) => {
      const to = `${hostOf(started(target))}/buildah:${format}`;
      await buildah(
        "commit",
        "--format",
        format,
        "--tls-verify=false",
        container,
        `docker://${to}`,
      );
      if (dockerd !== undefined) holdsGreeting(await dockerd.unpack(to));
    },
  );
});

describe("Docker's engine", skipWhere(DOCKER), () => {
  const reference = () => `${hostOf(proxy)}/${TAGGED}`;

  test("pulls", async () => {
    holdsGreeting(await noted("docker pull", () => started(dockerd).unpack(reference())));
  });

  test("builds on an image", async () => {
    await noted("docker build", () => started(dockerd).build(reference()));
  });
});

describe("containerd", skipWhere(missing("containerd", "ctr")), () => {
  test("pulls", async () => {
    const pull = () => started(containerd).unpack(`${hostOf(proxy)}/${TAGGED}`, "passing-on");
    holdsGreeting(await noted("ctr images pull", pull));
  });
});

describe("docker-registry as a cache of this one", skipWhere(missing("docker-registry")), () => {
  const cached = () => `${hostOf(started(cache))}/${TAGGED}`;
  test("is asked by clients that read zstd, and by those that do not", async () => {
    await noted("docker-registry", async () => {
      if (containerd !== undefined) holdsGreeting(await containerd.unpack(cached(), "cached"));
      if (dockerd !== undefined) holdsGreeting(await dockerd.unpack(cached()));
      const folder = join(await own(), "layout");
      const options = ["copy", "--src-tls-verify=false"];
      await run("skopeo", [...options, `docker://${cached()}`, `oci:${folder}`]);
      holdsGreeting(await listLayout(folder));
    });
  });
});

describe("a program of anybody's", skipWhere(hidesHost), () => {
  test.each([
    ["a program that says nothing", OCI_MANIFEST],
    ["a client of schema 2 alone", DOCKER_MANIFEST],
  ])("asks as %s", async (client, accept) => {
    await noted(client, () => getPlainly(`${proxy.url}/v2/${NAME}/manifests/latest`, accept));
  });
});

describe("the digest of a tag", skipWhere(hidesHost), () => {
  test("is for each of these clients that of the form which the table says", async () => {
    const digests = await digestsByForm(proxy.url, NAME);
    expect(new Set(digests.values()).size).toBe(VARIANTS.length);
    for (const { client, answer } of notes) {
      const headers = new Headers(answer.requestHeaders as Record<string, string>);
      expect(answer.digest, client).toBe(digests.get(chooseVariant(headers, "known")));
    }
  });

  const notHere = process.arch === "x64" ? false : "the page shows the image for amd64";
  test(`is in ${PAGE} what these clients got`, skipWhere(notHere), async () => {
    const digests = await digestsByForm(proxy.url, NAME);
    if (WRITES_TABLES) writeDigests(PAGE, notes, digests);
    expectDigests(PAGE, notes, digests);
  });
});
