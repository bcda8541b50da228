// What a power cut leaves of an origin that has answered: all that the answer relies on, and at no moment
// before it a value that names what could be lost.

import { readFileSync } from "node:fs";
import { readdir, rename, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { assert, expect, onTestFinished, test } from "vitest";
import { type Named, namedBy } from "../../origin/fsck/named-values.ts";
import { LASTING, listedKey, parseStorageKey, type StoredKey } from "../../origin/storage/keys.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../registry/image/media-type.ts";
import { type Ending, temporaryDirectory } from "./fixture.ts";
import { plantSet, startHouse } from "./house.ts";
import { watchDisk } from "./storage/disk.ts";

const SECRET = "a secret of the durability test";
/** Nobody listens there, so what the edge is to be given stays where it is. */
const NO_EDGE = { NIXPORT_EDGE_URL: "http://127.0.0.1:9", NIXPORT_SECRET: SECRET };
/** What the set says of both is the same, so an index costs no more to make. */
const TWO_PLATFORMS = { NIXPORT_PLATFORMS: "linux/amd64,linux/arm64" };
const TAKES_INDEX = { Accept: `${OCI_MANIFEST}, ${OCI_INDEX}` };
const GZIP = { "User-Agent": "curl/8.0" };

function storedKeyOf(key: string): StoredKey {
  const parsed = parseStorageKey(key);
  assert(parsed !== undefined, `${key} is no key`);
  return parsed;
}

const collectionOf = (key: string) => storedKeyOf(key).collection;

const isLasting = (key: string) => LASTING.some((each) => each === collectionOf(key));

/**
 * The house's set, without what every image has, so that its ground is a layer of no store path; and with
 * a program that needs a shell, whose image has a layer of links.
 */
async function plantBareSet(onEnd: Ending): Promise<string> {
  const path = await plantSet(onEnd);
  await rename(join(path, "default.nix"), join(path, "house.nix"));
  const script = "mkdir -p $out/bin; echo $shell > $out/bin/script";
  await writeFile(
    join(path, "default.nix"),
    `let house = import ./house.nix; in removeAttrs house [ "cacert" "iana-etc" ] // {
      script = derivation (house.hello.drvAttrs // {
        name = "script-1.0"; shell = house.sh; args = [ "-c" "${script}" ]; });
    }`,
  );
  return path;
}

test("an origin whose machine loses its power has what its answers rely on", async () => {
  const statePath = await temporaryDirectory(onTestFinished);
  const root = join(statePath, "origin");
  const unsafe: string[] = [];
  /** Outputs whose record would survive. */
  const recorded = new Map<string, string>();
  const isSafe = (named: Named) =>
    disk.survives(named.kind === "value" ? named.key : (recorded.get(named.output) ?? "none"));
  const disk = watchDisk(onTestFinished, root, (key, stagedAt) => {
    const bytes = readFileSync(stagedAt);
    const reading = namedBy(listedKey(key), storedKeyOf(key), bytes);
    assert(reading.kind === "names", `${key} is unreadable`);
    unsafe.push(
      ...reading.names
        .filter((named) => !isSafe(named))
        .map((named) => `${key} names ${named.kind === "value" ? named.key : named.output}`),
    );
    for (const output of reading.outputs) recorded.set(output, key);
  });
  const house = await startHouse(onTestFinished, await plantBareSet(onTestFinished), statePath, {
    ...NO_EDGE,
    ...TWO_PLATFORMS,
  });

  for (const [name, headers] of [
    ["hello/heavy/tools", {}],
    ["hello", GZIP],
    ["hullo", TAKES_INDEX],
    ["script/nested.inner", {}],
  ] as const) {
    const { manifest } = await house.pull(name, headers);
    if (headers === TAKES_INDEX) expect(manifest.mediaType).toBe(OCI_INDEX);
    // At the very moment of the answer: nothing is waited for.
    const files = await readdir(root, { recursive: true, withFileTypes: true });
    const keys = files
      .filter((file) => file.isFile())
      .map((file) => relative(root, join(file.parentPath, file.name)))
      .filter((path) => !path.startsWith("staging/"));
    expect(keys.filter(isLasting).filter((key) => !disk.survives(key))).toStrictEqual([]);
    expect(unsafe).toStrictEqual([]);
    expect(disk.hasty().filter(isLasting)).toStrictEqual([]);
    const found = new Set(keys.map(collectionOf));
    expect(
      LASTING.filter((each) => !found.has(each)),
      "kinds that no pull stored",
    ).toStrictEqual([]);
  }
});
