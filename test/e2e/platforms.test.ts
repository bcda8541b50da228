// One name for two platforms: real packages for both, real clients that take their own, at the origin
// and at the edge, and at the edge alone.

import { readFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateDebianSet } from "../../nix/debian/generate.ts";
import { DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST } from "../../registry/image/media-type.ts";
import type { Architecture } from "../../registry/naming/recipe.ts";
import { readTar } from "../origin/layers/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import {
  get,
  missingBlobs,
  missingClient,
  podmanReset,
  podmanRun,
  pullManifest,
  runClient,
} from "./clients.ts";
import { startContainerd } from "./containerd.ts";
import { removeStorage } from "./daemon.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";
import { startDockerd } from "./dockerd.ts";
import { decompress, type Listing, layoutLayers, listLayout, resolveInside } from "./listing.ts";
import { startProxy } from "./proxy.ts";

const ARCHITECTURES = ["amd64", "arm64"] as const;
/** `e_machine` of an ELF header: EM_X86_64 and EM_AARCH64. */
const MACHINES = { amd64: 62, arm64: 183 };
const ELF = Buffer.from("\x7fELF", "latin1");
const LIBRARIES = ["c.so.6", "gcc_s.so.1", "ssl.so.3", "stdc++.so.6", "z.so.1"].map(
  (name) => `lib/lib${name}`,
);
const UNIX_PROGRAMS = ["awk", "diff", "find", "grep", "gzip", "less", "ps", "sed", "tar"].map(
  (name) => `bin/${name}`,
);
/** cacert and iana-etc. */
const ALWAYS = 2;
const TAKES_INDEX = { Accept: `${OCI_MANIFEST}, ${OCI_INDEX}`, "User-Agent": "test" };

interface Index {
  readonly mediaType: string;
  readonly manifests: readonly {
    readonly digest: string;
    readonly platform: { readonly architecture: string };
  }[];
  readonly annotations: Readonly<Record<string, string>>;
}

let deployment: Deployment;
let origin: Part;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-platforms-"));
  const packages = join(scratch, "set");
  const { absent } = await generateDebianSet({ outDir: packages });
  expect(absent, "the set has packages for both platforms").toStrictEqual([]);
  const env = { NIXPORT_PLATFORMS: "linux/amd64,linux/arm64" };
  deployment = await deploy({ packages, env });
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
});

afterAll(async () => {
  await deployment?.close();
  if (missingClient("podman") === false) podmanReset(scratch);
  if (scratch) await removeStorage(scratch);
});

async function pullIndex(image: string) {
  const [name, reference = "latest"] = image.split("@");
  const path = `/v2/${name}/manifests/${reference}`;
  const response = await get(deployment.edgeUrl, path, { headers: TAKES_INDEX });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  expect(response.headers.get("content-type")).toBe(OCI_INDEX);
  return { headers: response.headers, text, index: JSON.parse(text) as Index };
}

function skopeo(...args: string[]): string {
  const { code, stdout, stderr } = runClient("skopeo", args);
  expect(code, stderr).toBe(0);
  return stdout;
}

const referenceOf = (url: string, image: string) => `docker://${new URL(url).host}/${image}`;

/** What the machine of a program is that an OCI image folder holds in its store. */
async function machineOf(folder: string, program: RegExp): Promise<number | undefined> {
  for (const { mediaType, path } of layoutLayers(folder)) {
    const entries = await readTar(decompress(mediaType, readFileSync(path)));
    const found = entries.find(({ name, type }) => type === "file" && program.test(name));
    if (found !== undefined) return found.content.readUInt16LE(18);
  }
  return undefined;
}

/** The machines of all programs and libraries that an image folder holds in its store, by their paths. */
async function machinesIn(folder: string): Promise<ReadonlyMap<string, number>> {
  const machines = new Map<string, number>();
  for (const { mediaType, path } of layoutLayers(folder)) {
    for (const { name, type, content } of await readTar(
      decompress(mediaType, readFileSync(path)),
    )) {
      const isElf = type === "file" && content.subarray(0, 4).equals(ELF);
      if (isElf) machines.set(name, content.readUInt16LE(18));
    }
  }
  return machines;
}

describe("skopeo", skipWhere(missingClient("skopeo")), () => {
  test("sees one index of both platforms at the origin and at the edge", () => {
    const [atOrigin, atEdge] = [deployment.originUrl, deployment.edgeUrl].map((url) =>
      skopeo("inspect", "--raw", "--tls-verify=false", referenceOf(url, "hello")),
    );
    expect(atOrigin).toBe(atEdge);
    const { mediaType, manifests } = JSON.parse(atEdge ?? "") as Index;
    expect(mediaType).toBe(OCI_INDEX);
    const architectures = manifests.map(({ platform }) => platform.architecture);
    expect(architectures).toStrictEqual(ARCHITECTURES);
  });

  test.for(ARCHITECTURES)(
    "copies the image for %s out of it, with programs for that machine",
    async (architecture) => {
      const folder = join(scratch, architecture);
      const options = ["--override-arch", architecture, "copy", "--src-tls-verify=false"];
      skopeo(...options, referenceOf(deployment.edgeUrl, "hello"), `oci:${folder}`);
      const machine = await machineOf(folder, /^nix\/store\/[^/]+-hello-[^/]+\/bin\/hello$/);
      expect(machine).toBe(MACHINES[architecture]);
      const loader = await machineOf(
        folder,
        /^nix\/store\/[^/]+-glibc-.*\/ld-linux-[^/]+\.so\.\d$/,
      );
      expect(loader).toBe(MACHINES[architecture]);
    },
  );

  test("copies all platforms at once", () => {
    const target = `dir:${scratch}/all`;
    const options = ["copy", "--all", "--src-tls-verify=false"];
    skopeo(...options, referenceOf(deployment.edgeUrl, "hello"), target);
  });
});

describe("an image with a front word, by its files", skipWhere(missingClient("skopeo")), () => {
  const images = ["fhs/hello", "unix/hello", "nonroot/hello"];
  const rows = ARCHITECTURES.flatMap((architecture) =>
    images.map((image) => ({ architecture, image })),
  );
  /** Links by where they lead: `libc.so.6`, whatever the store path and the version behind it. */
  const PROMISES: Readonly<Record<string, Readonly<Record<Architecture, readonly string[]>>>> = {
    "fhs/hello": {
      amd64: ["lib64/ld-linux-x86-64.so.2", ...LIBRARIES],
      arm64: ["lib/ld-linux-aarch64.so.1", ...LIBRARIES],
    },
    "unix/hello": { amd64: UNIX_PROGRAMS, arm64: UNIX_PROGRAMS },
    "nonroot/hello": { amd64: [], arm64: [] },
  };

  test.for(rows)("$image is for $architecture throughout", async ({ architecture, image }) => {
    const folder = join(scratch, `${architecture}-${image.replace("/", "-")}`);
    const options = ["--override-arch", architecture, "copy", "--src-tls-verify=false"];
    skopeo(...options, referenceOf(deployment.edgeUrl, image), `oci:${folder}`);
    const listing = await listLayout(folder);
    const programs = await machinesIn(folder);
    expect(new Set(programs.values())).toStrictEqual(new Set([MACHINES[architecture]]));
    const promised = PROMISES[image]?.[architecture] ?? [];
    const lost = promised.filter((path) => !programs.has(resolveInside(listing, path) ?? ""));
    expect(lost).toStrictEqual([]);
    const config = JSON.parse(skopeo("inspect", "--config", `oci:${folder}`));
    expect(config.architecture).toBe(architecture);
    expect(config.config.User).toBe(image.startsWith("nonroot") ? "65532:65532" : undefined);
    if (!image.startsWith("fhs")) return;
    const [loader = ""] = promised;
    expect(resolveInside(listing, loader)).toMatch(/-nix-ld-[^/]+\/libexec\/nix-ld$/);
    expect(resolveInside(listing, "lib/ld.so")).toMatch(
      new RegExp(`-glibc-.*/${basename(loader)}$`),
    );
    const other = { amd64: "lib/ld-linux-aarch64.so.1", arm64: "lib64/ld-linux-x86-64.so.2" };
    expect(listing.has(other[architecture])).toBe(false);
  });
});

describe("podman", skipWhere(missingClient("podman")), () => {
  test("takes the machine's own image out of an index, and runs it", () => {
    const { code, stdout, stderr } = podmanRun(scratch, deployment.edgeUrl, "hello", ["hello"]);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/Hello, world!/);
  });
});

/** The image for the machine the test runs on: its program, with that machine's loader. */
function assertOwn(listing: Listing): void {
  const own = { x64: "ld-linux-x86-64.so.2", arm64: "ld-linux-aarch64.so.1" }[
    process.arch as string
  ];
  expect(resolveInside(listing, "bin/hello")?.endsWith("/bin/hello")).toBe(true);
  const loaders = [...listing.keys()].filter((path) => /\/lib\/ld-linux-[^/]+$/.test(path));
  expect(new Set(loaders.map((path) => basename(path)))).toStrictEqual(new Set([own]));
}

const withoutDocker = missingClient("dockerd", "docker");

describe("containerd", skipWhere(missingClient("ctr")), () => {
  test("takes the machine's own image out of an index", async () => {
    const containerd = await startContainerd(join(scratch, "containerd"));
    try {
      const reference = `${new URL(deployment.edgeUrl).host}/hello:latest`;
      assertOwn(await containerd.unpack(reference, "platforms"));
    } finally {
      await containerd.stop();
    }
  });
});

describe("Docker's engine", skipWhere(withoutDocker), () => {
  test("takes the machine's own image out of an index, and out of a manifest list", async () => {
    const dockerd = await startDockerd(join(scratch, "dockerd"));
    const proxies = [
      await startProxy(deployment.edgeUrl),
      await startProxy(deployment.edgeUrl, "docker-gzip"),
    ];
    try {
      for (const { url } of proxies) {
        assertOwn(await dockerd.unpack(`${new URL(url).host}/hello:latest`));
      }
      const tagged = proxies.map(
        ({ answers }) => answers.find(({ path }) => path.endsWith("/latest"))?.mediaType,
      );
      expect(tagged).toStrictEqual([OCI_INDEX, DOCKER_MANIFEST_LIST]);
    } finally {
      for (const proxy of proxies) await proxy.close();
      await dockerd.stop();
    }
  });
});

describe("a name", () => {
  test("with a platform is that one's manifest of the index", async () => {
    const { index } = await pullIndex("hello");
    const digests = [];
    for (const architecture of ARCHITECTURES) {
      const manifest = await pullManifest(deployment.edgeUrl, `${architecture}/hello`);
      expect(manifest.mediaType).toBe(OCI_MANIFEST);
      digests.push(manifest.digest);
    }
    expect(digests).toStrictEqual(index.manifests.map(({ digest }) => digest));
  });

  test("of a package that one platform lacks is an index without it, which says so", async () => {
    const { index, headers } = await pullIndex("msr-tools/hello");
    const architectures = index.manifests.map(({ platform }) => platform.architecture);
    expect(architectures).toStrictEqual(["amd64"]);
    const reason = "msr-tools does not support aarch64-linux";
    expect(index.annotations["nixport.omitted.linux.arm64"]).toBe(reason);
    expect(headers.get("nixport-omitted")).toBe(`linux/arm64="${reason}"`);
  });
});

describe("the edge alone", () => {
  const PULLED = ["hello", "jq", "msr-tools/hello"];
  const pulled = new Map<string, string>();
  beforeAll(async () => {
    for (const image of PULLED) pulled.set(image, (await pullIndex(image)).text);
    const isBackfilled = (image: string) =>
      origin.log.some(({ msg, recipe }) => {
        const [platforms, ...packages] = String(recipe).split("/");
        const names = image.split("/");
        const isIndex = msg === "backfilled" && platforms === "amd64+arm64";
        const isWhole = packages.length === names.length + ALWAYS;
        return isIndex && isWhole && names.every((name) => packages.includes(name));
      });
    await origin.waitFor(() => PULLED.every(isBackfilled));
    await origin.stop("SIGKILL");
  });

  test.for(PULLED)(
    "serves the index of %s by tag and by digest, with all that it names",
    async (image) => {
      const { headers, text, index } = await pullIndex(image);
      expect(text).toBe(pulled.get(image));
      expect(headers.get("cache-status") ?? "").toMatch(/^nixport; hit; detail=/);
      const digest = headers.get("docker-content-digest");
      expect((await pullIndex(`${image}@${digest}`)).text).toBe(text);
      for (const { digest: child } of index.manifests) {
        const manifest = await pullManifest(deployment.edgeUrl, `${image}@${child}`);
        expect(await missingBlobs(deployment.edgeUrl, manifest)).toStrictEqual([]);
      }
    },
  );

  test("composes the index of a combination that nobody has pulled", async () => {
    const { headers, index } = await pullIndex("hello/jq");
    expect(headers.get("cache-status") ?? "").toMatch(/detail=composed/);
    const architectures = index.manifests.map(({ platform }) => platform.architecture);
    expect(architectures).toStrictEqual(ARCHITECTURES);
    for (const { digest } of index.manifests) {
      const manifest = await pullManifest(deployment.edgeUrl, `hello/jq@${digest}`);
      expect(await missingBlobs(deployment.edgeUrl, manifest)).toStrictEqual([]);
    }
  });

  test("still says which platform an index lacks", async () => {
    const { headers } = await pullIndex("msr-tools/hello");
    expect(headers.get("nixport-omitted") ?? "").toMatch(/^linux\/arm64=".*msr-tools/);
  });
});
