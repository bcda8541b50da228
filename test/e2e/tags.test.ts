// Tags of a git repository through the running edge and origin: branches move, commits stay, and
// what was resolved once keeps being answered when the repository is gone.

import { cp, realpath, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { SYSTEM } from "../origin/nix/fixture.ts";
import { createRepository, type Repository } from "../origin/sources/git-repository.ts";
import { get, missingBlobs, type PulledManifest, pullManifest } from "./clients.ts";
import { DEBIAN_SET, type Deployment, deploy, type Part } from "./deployment.ts";

/** Seconds, at the origin and at the edge alike. */
const FRESH = "1";
const MOVED_DEADLINE_MS = 60_000;
const POLL_MS = 100;
/** Far less than git's deadline, and far more than an answer that is remembered takes. */
const AT_ONCE_MS = 5000;

const atEnd = endOfFile();
let repository: Repository;
let first: string;
let second: string;
let deployment: Deployment;
let origin: Part;

/** A set whose package `tool` is another one at each commit. */
async function commitTool(package_: string): Promise<string> {
  const set = `args: let set = import ./set.nix args; in set // { tool = set.${package_}; }`;
  await writeFile(join(repository.path, "default.nix"), set);
  return repository.add(package_);
}

beforeAll(async () => {
  repository = await createRepository(atEnd);
  await cp(await realpath(DEBIAN_SET), repository.path, { recursive: true });
  await rename(join(repository.path, "default.nix"), join(repository.path, "set.nix"));
  const flake = `{ outputs = { self }: {
    legacyPackages.${SYSTEM} = import ./. { system = "${SYSTEM}"; };
  }; }`;
  await writeFile(join(repository.path, "flake.nix"), flake);
  first = await commitTool("hello");
  repository.git("branch", "feature/x");
  repository.git("branch", "deleted");
  repository.git("tag", "--annotate", "--message", "x", "v1");
  deployment = await deploy({
    env: {
      NIXERY_PKGS_REPO: `file://${repository.path}`,
      NIXPORT_PIN_FRESH: FRESH,
      PIN_FRESH_SECONDS: FRESH,
    },
  });
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
});

afterAll(() => deployment?.close());

function pinOf(manifest: PulledManifest): string | null {
  return manifest.headers.get("nixport-pin");
}

/** What the edge answers once a tag has arrived at a commit. */
async function pullAt(tag: string, commit: string): Promise<PulledManifest> {
  const deadline = AbortSignal.timeout(MOVED_DEADLINE_MS);
  for (;;) {
    const manifest = await pullManifest(deployment.edgeUrl, `tool:${tag}`);
    if (pinOf(manifest) === commit) return manifest;
    await setTimeout(POLL_MS, undefined, { signal: deadline });
  }
}

async function messageOf(url: string, path: string): Promise<string> {
  const response = await get(url, path);
  expect(response.status).toBe(404);
  const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
  expect(errors[0]?.code).toBe("MANIFEST_UNKNOWN");
  return errors[0]?.message ?? "";
}

describe("a tag", () => {
  test("is a branch, an escaped branch, a git tag, latest or a commit", async () => {
    const { digest } = await pullAt("main", first);
    for (const tag of ["latest", "feature--x", "v1", first]) {
      const manifest = await pullManifest(deployment.edgeUrl, `tool:${tag}`);
      expect([pinOf(manifest), manifest.digest], tag).toStrictEqual([first, digest]);
    }
  });

  test("moves with its branch, while the commit before stays what it was", async () => {
    const earlier = await pullManifest(deployment.edgeUrl, `tool:${first}`);
    second = await commitTool("jq");
    const moved = await pullAt("main", second);
    expect(moved.digest).not.toBe(earlier.digest);
    expect(await missingBlobs(deployment.edgeUrl, moved)).toStrictEqual([]);
    for (const [tag, digest] of [
      [first, earlier.digest],
      ["v1", earlier.digest],
      [second, moved.digest],
    ] as const) {
      expect((await pullManifest(deployment.edgeUrl, `tool:${tag}`)).digest, tag).toBe(digest);
    }
  });

  test("is 404 some time after its branch was deleted, while the commit stays", async () => {
    await pullAt("deleted", first);
    repository.git("branch", "--delete", "--force", "deleted");
    const deadline = AbortSignal.timeout(MOVED_DEADLINE_MS);
    while ((await get(deployment.edgeUrl, "/v2/tool/manifests/deleted")).status !== 404) {
      await setTimeout(POLL_MS, undefined, { signal: deadline });
    }
    await pullManifest(deployment.edgeUrl, `tool:${first}`);
  });

  test("that nothing is called says what is", async () => {
    for (const url of [deployment.edgeUrl, deployment.originUrl]) {
      const message = await messageOf(url, "/v2/tool/manifests/mian");
      expect(message).toMatch(/^no tag "mian": the nearest are main; tags are latest/);
    }
    const short = await messageOf(deployment.edgeUrl, `/v2/tool/manifests/${first.slice(0, 12)}`);
    expect(short).toMatch(/all its 40 digits/);
  });

  test("has the digest that the same repository gives as a flake", async () => {
    const flakes = await deploy({
      env: { NIXPORT_FLAKE: `git+file://${repository.path}`, NIXPORT_EDGE_URL: "" },
    });
    try {
      await flakes.startOrigin();
      const manifest = await pullManifest(flakes.originUrl, "tool:main");
      const [revision, asFlake] = pinOf(manifest)?.split("+") ?? [];
      expect(revision).toBe(second);
      assert(asFlake, "a flake is another set than a plain one of the same revision");
      expect(manifest.digest).toBe((await pullAt("main", second)).digest);
    } finally {
      await flakes.close();
    }
  });
});

describe("with the repository gone", () => {
  const TAGS = ["main", "latest", "feature--x", "v1"];

  beforeAll(async () => {
    await pullAt("latest", second);
    await rename(repository.path, `${repository.path}-away`);
    await origin.stop();
    origin = await deployment.startOrigin();
  });
  afterAll(() => rename(`${repository.path}-away`, repository.path));

  test("every tag pulled before is answered at once, also after a restart", async () => {
    for (const tag of [...TAGS, first, second]) {
      for (const url of [deployment.edgeUrl, deployment.originUrl]) {
        const startedMs = performance.now();
        const manifest = await pullManifest(url, `tool:${tag}`);
        expect(performance.now() - startedMs, `${tag} waited`).toBeLessThan(AT_ONCE_MS);
        expect(await missingBlobs(url, manifest)).toStrictEqual([]);
      }
    }
  });

  test("the origin says how old its revision is, once it has tried to refresh it", async () => {
    const deadline = AbortSignal.timeout(MOVED_DEADLINE_MS);
    let warning: string | null = null;
    while (warning === null) {
      warning = (await pullManifest(deployment.originUrl, "tool:main")).headers.get("warning");
      await setTimeout(POLL_MS, undefined, { signal: deadline });
    }
    expect(warning).toMatch(/^299 - "nixport: main was last resolved .* ago;/);
  });

  test("a tag never pulled is 503, for nobody said that there is none", async () => {
    const response = await get(deployment.edgeUrl, "/v2/tool/manifests/never");
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after") ?? "").toMatch(/^\d+$/);
  });
});
