import assert from "node:assert/strict";
import { readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { digestOf } from "../../registry/digest.ts";
import { missingClient, runClient } from "../e2e/clients.ts";
import { DEBIAN_SET } from "../e2e/deployment.ts";
import { endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { REPOSITORY_PREFIX, startHouse } from "../origin/house.ts";
import { testNix } from "../origin/nix/fixture.ts";

const nix = await testNix();
const limit = { timeout: 240_000 };
const DEBIAN = `path!${await realpath(DEBIAN_SET)}`;

interface BuiltImage {
  readonly path: string;
  readonly digest: string;
  readonly manifest: { readonly layers: readonly { readonly digest: string }[] };
  readonly layerLocations: Readonly<Record<string, { path: string; md5: string }>>;
}

/** `nix-build nix/image.nix`: what it printed, or the message it ended with. */
async function nixBuild(args: readonly string[]): Promise<{ path: string } | { error: string }> {
  const result = await nix.run(
    "nix-build",
    [
      ...[join(nix.expressions, "image.nix"), "--no-out-link"],
      ...["--argstr", "node", process.execPath, ...args],
    ],
    { deadlineMs: 180_000 },
  );
  assert(result.kind === "exited", JSON.stringify(result));
  return result.code === 0 ? { path: result.stdout.trim() } : { error: result.stderr };
}

async function build(...args: readonly string[]): Promise<BuiltImage> {
  const result = await nixBuild(args);
  assert("path" in result, "error" in result ? result.error : "");
  const facts = JSON.parse(await readFile(join(result.path, "image.json"), "utf8"));
  return { ...facts, path: result.path };
}

describe("an image built without the registry", limit, () => {
  test("has the registry's digest, in every form", async () => {
    const atEnd = endOfFile();
    const house = await startHouse(atEnd, DEBIAN_SET, await temporaryDirectory(atEnd));
    const recipes = [
      ["jq", "zstd", "application/vnd.oci.image.manifest.v1+json"],
      ["shell/git", "zstd", "application/vnd.oci.image.manifest.v1+json"],
      ["curl/htop", "docker", "application/vnd.docker.distribution.manifest.v2+json"],
    ] as const;
    for (const [recipe, form, Accept] of recipes) {
      const name = `${REPOSITORY_PREFIX}${recipe}`;
      const pulled = await house.pull(recipe, { Accept });
      const built = await build(
        ...["--argstr", "name", name, "--argstr", "form", form, "--argstr", "pkgSource", DEBIAN],
      );
      assert.equal(built.digest, pulled.digest, recipe);
      assert.deepEqual(built.manifest, pulled.manifest);
    }
  });

  const skip = missingClient("skopeo");
  test("is an OCI layout that clients copy", { skip }, async (t) => {
    const { path } = await build("--argstr", "name", "jq", "--argstr", "pkgSource", DEBIAN);
    const target = await temporaryDirectory(t);
    const { code, stderr } = runClient("skopeo", ["copy", `oci:${path}:latest`, `dir:${target}`]);
    assert.equal(code, 0, stderr);
  });

  test("says where each of its blobs lies", async () => {
    const built = await build("--argstr", "name", "jq", "--argstr", "pkgSource", DEBIAN);
    const hexes = built.manifest.layers.map(({ digest }) => digest.slice("sha256:".length));
    for (const hex of hexes) assert(hex in built.layerLocations);
    for (const [hex, { path }] of Object.entries(built.layerLocations)) {
      assert.equal(await digestOf(await readFile(path)), `sha256:${hex}`);
    }
  });
});
