// An image of more store paths than clients mount layers: coarser cuts keep it below the budget, and
// what the origin once packed is never compressed again, not even after it was lost.

import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestOf } from "../../registry/naming/digest.ts";
import { SHELL_BUILDER } from "../origin/nix/sandbox-shell.ts";
import { get, missingBlobs, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

const PACKAGES = ["p1", "p2", "p3", "p4", "p5", "p6"] as const;
const DEPENDENCIES_EACH = 20;
const LAYER_BUDGET = 100;

let set: string;
let deployment: Deployment;
let origin: Part;

beforeAll(async () => {
  set = await mkdtemp(join(tmpdir(), "nixport-large-"));
  await chmod(set, 0o755);
  await writeFile(join(set, "default.nix"), SET);
  deployment = await deploy({ packages: set });
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
});

afterAll(async () => {
  await deployment?.close();
  await rm(set, { recursive: true, force: true });
});

describe("an image of 126 large store paths", () => {
  const image = PACKAGES.join("/");

  test("stays below the layer budget, and only joins what its packages had packed alone", async () => {
    for (const name of PACKAGES) {
      const { layers } = await pullManifest(deployment.originUrl, name);
      expect(layers.length, "alone it has a layer for each large path").toBeGreaterThan(
        DEPENDENCIES_EACH,
      );
    }
    const before = origin.log.length;
    const manifest = await pullManifest(deployment.originUrl, image);
    expect(manifest.layers.length, `${manifest.layers.length} layers`).toBeLessThanOrEqual(
      LAYER_BUDGET,
    );
    const packed = origin.log.slice(before).filter(({ msg }) => msg === "packed");
    expect(packed.length).toBeGreaterThan(0);
    for (const { storePaths, joined } of packed) {
      expect(joined, "every segment is a stored one").toBe((storePaths as string[]).length);
    }
  });

  test("has the same digest at the edge, and so has a part of it, with nothing packed", async () => {
    const first = await pullManifest(deployment.originUrl, image);
    await origin.waitFor(({ msg, recipe }) => msg === "backfilled" && isRecipe(recipe));
    const before = origin.log.length;
    const cached = await pullManifest(deployment.edgeUrl, image);
    expect(cached.digest).toBe(first.digest);
    expect(await missingBlobs(deployment.edgeUrl, cached)).toStrictEqual([]);
    const part = PACKAGES.slice(1).join("/");
    const atEdge = await pullManifest(deployment.edgeUrl, part);
    expect((await pullManifest(deployment.originUrl, part)).digest).toBe(atEdge.digest);
    const packed = origin.log.slice(before).filter(({ msg }) => msg === "packed");
    expect(packed).toStrictEqual([]);
  });

  test("has every layer that is lost made again, byte for byte", async () => {
    const { layers } = await pullManifest(deployment.originUrl, image);
    const folder = join(deployment.statePath, "origin/layers");
    for (const { digest } of layers) {
      await rm(join(folder, digest.slice("sha256:".length)));
      const response = await get(deployment.originUrl, `/v2/any/blobs/${digest}`);
      expect(response.status).toBe(200);
      expect(await digestOf(new Uint8Array(await response.arrayBuffer()))).toBe(digest);
    }
    expect((await readdir(folder)).length).toBeGreaterThanOrEqual(layers.length);
  });
});

function isRecipe(recipe: unknown): boolean {
  return recipe === ["cacert", "iana-etc", ...PACKAGES].join("/");
}

const SET = `let
  range = first: last: if first > last then [ ] else [ first ] ++ range (first + 1) last;
  package = name: dependencies: size: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = ${SHELL_BUILDER};
    args = [ "-c" ''
      PATH=/bin:/usr/bin; mkdir -p $out/bin; echo \${name} > $out/bin/\${name}
      echo \${toString dependencies} > $out/references; head -c \${toString size} /dev/zero > $out/zeros
    '' ];
  };
  large = name: package name [ ] 2000001;
  root = name: package name (map (n: large "\${name}-\${toString n}") (range 1 ${DEPENDENCIES_EACH})) 0;
in {
  cacert = package "nss-cacert" [ ] 0;
  iana-etc = package "iana-etc" [ ] 0;
${PACKAGES.map((name) => `  ${name} = root "${name}";`).join("\n")}
}
`;
