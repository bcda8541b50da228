// The main job: an origin on a channel of nixpkgs, with a cache that has what it needs.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { CACHE_MARKER, SOURCE_MARKER } from "../stand-ins/shelf.ts";
import { missingWorld, openWorld, type World } from "../stand-ins/world.ts";
import { get, type PulledManifest, pullManifest } from "./clients.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { decompress } from "./listing.ts";

const atEnd = endOfFile();
let world: World;
let deployment: Deployment;

describe("an origin on a channel of nixpkgs", skipWhere(missingWorld()), () => {
  beforeAll(async () => {
    // The Nix of this machine may be an old one; what one that is too old is told is another test's.
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true });
    deployment = await deploy({
      launcher: world.launcher,
      env: { ...world.env, NIXERY_CHANNEL: "nixos-unstable", NIXPORT_PACK_WORKERS: "1" },
    });
    await deployment.startOrigin();
  });
  afterAll(() => deployment?.close());

  test("serves packages out of the binary cache, at the channel's revision", async () => {
    const image = await pullManifest(deployment.originUrl, "shell/git/htop");
    expect(image.headers.get("Nixport-Pin")).toBe(world.forge.commitOf("nixos-unstable"));
    const marks = await madeIn(image);
    expect(marks.length, `${marks.length} store paths`).toBeGreaterThan(20);
    expect([...new Set(marks)]).toStrictEqual([CACHE_MARKER]);
  });

  test("finds nested sets, other spellings and names that stand for others", async () => {
    for (const name of [
      "python3packages.numpy",
      "haskellpackages.shellcheck",
      "nodejs",
      "bash_5",
    ]) {
      const { layers } = await pullManifest(deployment.originUrl, name);
      expect(layers.length).toBeGreaterThan(0);
    }
  });

  test("builds what no cache has", async () => {
    const marks = await madeIn(await pullManifest(deployment.originUrl, "uncached-tool"));
    expect(marks.filter((mark) => mark === SOURCE_MARKER)).toHaveLength(2);
  });

  const refusals: readonly [name: string, says: RegExp][] = [
    ["unfree-tool", /unfree-tool has an unfree licence \(unfree\).*\{"allowUnfree":true\}/],
    ["broken-tool", /broken-tool is marked broken.*\{"allowBroken":true\}/],
    ["insecure-tool", /insecure \(CVE-2026-0001.*Packages":\["insecure-tool-1\.1\.1w"\]\}/],
    ["unsupported-tool", /unsupported-tool does not support /],
    [
      "needs-unfree",
      /^needs-unfree needs unfree-tool-[\d.]+, which has an unfree licence \(unfree\), which this registry refuses; its operator could allow it with NIXPORT_NIXPKGS_CONFIG=\{"allowUnfree":true\}$/,
    ],
    ["needs-broken", /^needs-broken needs broken-tool-[\d.]+, which is marked broken, /],
    [
      "needs-insecure",
      /^needs-insecure needs insecure-tool-1\.1\.1w, .*CVE-2026-0001.*Packages":\["insecure-tool-1\.1\.1w"\]\}$/,
    ],
    [
      "needs-unsupported",
      /^needs-unsupported needs unsupported-tool-[\d.]+, which does not support \w+-linux$/,
    ],
    ["greeter", /greeter cannot be evaluated: .*renamed to\/replaced by 'hello'/],
    ["pkgs.pkgsbuildhost", /is a set, not a package/],
  ];
  test.for(refusals)("says why %s cannot be had", async ([name, says]) => {
    const response = await get(deployment.originUrl, `/v2/${name}/manifests/latest`);
    const { errors } = (await response.json()) as { errors: readonly { message: string }[] };
    expect(response.status).toBe(404);
    expect(errors[0]?.message ?? "").toMatch(says);
  });
});

/** What each store path of an image says of where it was made. */
async function madeIn({ layers }: PulledManifest): Promise<readonly string[]> {
  const marks = layers.map(async ({ digest, mediaType }) => {
    const response = await get(deployment.originUrl, `/v2/any/blobs/${digest}`);
    const tar = decompress(mediaType, Buffer.from(await response.arrayBuffer())).toString("latin1");
    // The whole file: programs say it too, among other lines.
    return [...tar.matchAll(/\0(from (?:the cache|source))\n\0/g)].map(([, mark = ""]) => mark);
  });
  return (await Promise.all(marks)).flat();
}
