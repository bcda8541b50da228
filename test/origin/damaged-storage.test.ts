// A disk that has cut files short, or changed a bit in them, while the origin was down: all files of a collection
// at once. What a client gets is right. Of a large layer it may get less than all, and then what is right when
// it asks again.

import { createHash } from "node:crypto";
import { cp, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { COLLECTIONS, INDEXED, LASTING, REMEMBERED, SAID } from "../../origin/storage/keys.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../registry/image/media-type.ts";
import { createRandom } from "../bench/random.ts";
import { type Ending, endOfFile, temporaryDirectory } from "./fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "./house.ts";

const IMAGE = { Accept: OCI_MANIFEST };
const GZIP = { ...IMAGE, "User-Agent": "curl/8.0" };
const TAKES_INDEX = { Accept: `${OCI_MANIFEST}, ${OCI_INDEX}` };
const PULLS: readonly (readonly [name: string, headers: Readonly<Record<string, string>>])[] = [
  ["hello/heavy/tools", IMAGE],
  ["wide", IMAGE],
  ["hello", GZIP],
  ["hullo", TAKES_INDEX],
];
/** Nobody listens there, so what the edge is to be given stays where it is. */
const SETTINGS = {
  NIXPORT_EDGE_URL: "http://127.0.0.1:9",
  NIXPORT_SECRET: "a secret of these tests",
  NIXPORT_PLATFORMS: "linux/amd64,linux/arm64",
};
/** Of what is looked at before its first byte, and of what is streamed. */
const LARGE_BYTES = 1 << 20;
const MINUTES_MS = 120_000;
const atEnd = endOfFile();
let setPath: string;
let statePath: string;
let asked: readonly Asked[];

interface Asked {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly digest: string;
  readonly isLarge: boolean;
}

/** The house's, with something that stays large when it is packed. */
async function plantWideSet(onEnd: Ending): Promise<string> {
  const path = await plantSet(onEnd);
  await rename(join(path, "default.nix"), join(path, "house.nix"));
  const random = createRandom(1);
  const noise = Uint8Array.from({ length: 3 * LARGE_BYTES }, () => random.below(256));
  await writeFile(join(path, "noise"), noise);
  await writeFile(
    join(path, "default.nix"),
    `let house = import ./house.nix; in house // { wide = derivation (house.hello.drvAttrs // {
      name = "wide-1.0"; noise = ./noise; args = [ "-c" "mkdir $out; cp $noise $out/noise" ]; }); }`,
  );
  return path;
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** All that clients may ask for of an image, which is kept. */
async function pullAll(house: House): Promise<readonly Asked[]> {
  const all: Asked[] = [];
  for (const [name, headers] of PULLS) {
    await house.pull(name, headers);
    // Another pull, and not the next request of the same.
    house.pass(MINUTES_MS);
    const { digest, manifest } = await house.pull(name, headers);
    const of = `/v2/${REPOSITORY_PREFIX}${name}`;
    for (const reference of ["latest", digest]) {
      all.push({ path: `${of}/manifests/${reference}`, headers, digest, isLarge: false });
    }
    if (manifest.mediaType === OCI_INDEX) continue;
    for (const blob of [manifest.config, ...manifest.layers]) {
      const isLarge = blob.size > LARGE_BYTES;
      all.push({ path: `${of}/blobs/${blob.digest}`, headers, digest: blob.digest, isLarge });
    }
  }
  expect(all.some(({ isLarge }) => isLarge)).toBe(true);
  return all;
}

async function filesOf(root: string, collection: string): Promise<readonly string[]> {
  const entries = await readdir(join(root, "origin", collection), {
    ...{ recursive: true, withFileTypes: true },
  }).catch(() => []);
  return entries.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
}

type Damage = (bytes: Buffer) => Uint8Array;

const CUT_SHORT: Damage = (bytes) => bytes.subarray(0, bytes.length >> 1);

const CHANGED: Damage = (bytes) => {
  const place = bytes.length >> 1;
  bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
  return bytes;
};

async function damageAll(root: string, collections: readonly string[], damage: Damage) {
  for (const collection of collections) {
    const files = await filesOf(root, collection);
    assert(files.length > 0, `nothing is in ${collection}`);
    for (const file of files) await writeFile(file, damage(await readFile(file)));
  }
}

type Got = "right" | "nothing" | { readonly status: number; readonly text: string };

async function ask(house: House, { path, headers, digest }: Asked): Promise<Got> {
  const response = await house.request(path, { headers });
  // Cut off.
  const bytes = await response.bytes().catch(() => undefined);
  if (bytes === undefined) return "nothing";
  if (response.status === 200 && sha256(bytes) === digest) return "right";
  return { status: response.status, text: new TextDecoder().decode(bytes).slice(0, 500) };
}

beforeAll(async () => {
  setPath = await plantWideSet(atEnd);
  statePath = await temporaryDirectory(atEnd);
  const house = await startHouse(onSetUp, setPath, statePath, SETTINGS);
  asked = await pullAll(house);
  await house.origin.close();
  const found = await Promise.all(COLLECTIONS.map((each) => filesOf(statePath, each)));
  const empty = COLLECTIONS.filter((_, place) => found[place]?.length === 0);
  expect(empty, "nothing was pushed, listed or indexed").toStrictEqual([
    "pushed",
    ...SAID,
    ...INDEXED,
  ]);
});

/** Closed in the end anyway. */
const onSetUp: Ending = () => {};

const CHEAP = REMEMBERED.filter((each) => each !== "pushed");
const OTHERS = [...LASTING, ...CHEAP].filter((each) => each !== "layers");

const rows: readonly (readonly [what: string, collections: readonly string[], Damage])[] = [
  ...LASTING.map((each) => [`${each} changed in a bit`, [each], CHANGED] as const),
  ["what is cheap to find out changed in a bit", CHEAP, CHANGED],
  ["layers cut short", ["layers"], CUT_SHORT],
  ["all but layers cut short", OTHERS, CUT_SHORT],
];

describe("an origin whose storage is damaged", { timeout: 60_000 }, () => {
  test.for(rows)("answers what is right: %s", async ([, collections, damage]) => {
    const damaged = await temporaryDirectory(onTestFinished);
    await cp(statePath, damaged, { recursive: true });
    await damageAll(damaged, collections, damage);
    const house = await startHouse(onTestFinished, setPath, damaged, SETTINGS);
    for (const each of asked) {
      const first = await ask(house, each);
      const got = first === "nothing" && each.isLarge ? await ask(house, each) : first;
      expect(got, each.path).toBe("right");
    }
    expect(house.lines.filter(({ msg }) => msg === "a request failed")).toStrictEqual([]);
  });
});
