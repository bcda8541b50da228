// How long a collection takes, and how much memory: `nixport gc` on what 10,000 images have left, of which half
// were pulled lately.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { Collected } from "../../origin/gc/collect.ts";
import type { NotedPull } from "../../origin/pulled/pull-notes.ts";
import { type StorageKey, storageKey } from "../../origin/storage/keys.ts";
import { storedJson } from "../../origin/storage/stored-json.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { canonicalRecipe, type PackageName } from "../../registry/naming/recipe.ts";
import {
  bundleOf,
  digestOfText,
  foundOf,
  groundOf,
  packingIdOf,
  pinOf,
  recipeOf,
  recordOf,
  storePathOf,
  tagOf,
} from "../registry/fixture.ts";
import { median, peakRssBytes } from "./measure.ts";
import { bar, type Row, type Section } from "./report.ts";
import type { Bench } from "./workbench.ts";

const COMMAND = fileURLToPath(new URL("../../origin/command/nixport.ts", import.meta.url));
const IMAGES = 10_000;
/** Each leaves a lookup, a record, two layers and what is remembered of them: ten values. */
const PACKAGES = 8000;
const PIN = pinOf("a".repeat(40));
const PACKING = packingIdOf("gzip-1");
const DAY_MS = 86_400_000;
const MOST_SECONDS = 60;
const MOST_MEGABYTES = 500;
const POLL_MS = 50;

export async function measureGc({ scratch, rounds }: Bench): Promise<Section> {
  const runs: Record<"mark" | "mark and sweep", Run[]> = { mark: [], "mark and sweep": [] };
  let objects = 0;
  let left = 0;
  for (let round = 0; round < rounds; round += 1) {
    const state = join(scratch, `collected-${round}`);
    objects = await storeImages(join(state, "origin"));
    runs.mark.push(await collect(state, "--dry-run"));
    const swept = await collect(state);
    runs["mark and sweep"].push(swept);
    left = valuesIn(swept.collected);
  }
  const rows = Object.entries(runs).map(
    ([what, each]): Row => ({
      what,
      "wall s": median(each.map(({ seconds }) => seconds)),
      "peak MB": median(each.map(({ megabytes }) => megabytes)),
    }),
  );
  const whole = runs["mark and sweep"];
  const seconds = median(whole.map((each) => each.seconds));
  const megabytes = median(whole.map((each) => each.megabytes));
  return {
    name: "gc",
    title: `collecting ${IMAGES} manifests and ${objects} values, of which ${left} stay`,
    tables: [rows],
    bars: [
      bar("gc of 10,000 manifests, seconds", seconds, "at most", MOST_SECONDS, "s"),
      bar("gc of 10,000 manifests, memory", megabytes, "at most", MOST_MEGABYTES, "MB"),
    ],
    notes: ["all files are in memory; the start of the program is counted"],
  };
}

interface Run {
  readonly seconds: number;
  readonly megabytes: number;
  readonly collected: Collected;
}

async function collect(statePath: string, ...args: readonly string[]): Promise<Run> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, [COMMAND, "gc", "--grace", "0", "--json", ...args], {
    env: { ...process.env, NIXPORT_STATE: statePath },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let peakBytes = 0;
  const poll = setInterval(async () => {
    const bytes = await peakRssBytes(child.pid ?? 0).catch(() => 0);
    if (bytes > peakBytes) peakBytes = bytes;
  }, POLL_MS);
  const [[code], stdout] = await Promise.all([once(child, "exit"), text(child.stdout)]);
  clearInterval(poll);
  if (code !== 0) throw new Error(`gc ended with ${code}`);
  const seconds = (performance.now() - startedMs) / 1000;
  return { seconds, megabytes: peakBytes / 1e6, collected: JSON.parse(stdout) };
}

function valuesIn({ collections }: Collected): number {
  return Object.values(collections).reduce((sum, { kept }) => sum + kept.values, 0);
}

/** How many values they are. */
async function storeImages(root: string): Promise<number> {
  const folders = new Set<string>();
  let count = 0;
  const put = async (key: StorageKey, bytes: Uint8Array | string) => {
    const path = join(root, key);
    if (!folders.has(dirname(path))) await mkdir(dirname(path), { recursive: true });
    folders.add(dirname(path));
    await writeFile(path, bytes);
    count += 1;
  };
  const putLayer = async (name: string, digest: Digest) => {
    await put(storageKey.layer(digest), name);
    const path = storePathOf(name);
    const place = { layer: digest, offsetBytes: 0, sizeBytes: 1, crc32: 0 };
    await put(storageKey.segment("p", path), storedJson(place));
    await put(storageKey.build("p", [path], null), storedJson({ digest, sizeBytes: 1 }));
    await put(storageKey.making(digest), storedJson({ kind: "bundle", storePaths: [path] }));
  };
  const putPackage = async (name: string) => {
    const found = foundOf(`${name}-1.0`);
    const bundles = [bundleOf([`${name}-data`], 1), bundleOf([`${name}-1.0`], 1, "gzip", true)];
    const record = recordOf(`${name}-1.0`, { bundles });
    const key = storageKey.lookup(PIN, "x86_64-linux", name as PackageName);
    await put(key, storedJson({ ...found, attribute: name }));
    await put(storageKey.record(PACKING, record), storedJson(record));
    for (const { digest, storePaths } of bundles)
      await putLayer(`${storePaths[0]}`.slice(44), digest);
  };
  for (let place = 0; place < PACKAGES; place += 1) await putPackage(`p${place}`);
  await put(storageKey.record(PACKING, groundOf()), storedJson(groundOf()));
  const notes: NotedPull[] = [];
  for (let place = 0; place < IMAGES; place += 1) {
    notes.push(await putImage(put, place));
  }
  const id = "8d1d3c5e-6c0e-4a43-8c1c-0f6d4d8f3a52";
  await put(storageKey.pulls("2026-01-01", id), storedJson(notes));
  return count;
}

/** Of three packages; those of every second image are pulled by nobody else. */
async function putImage(
  put: (key: StorageKey, bytes: Uint8Array | string) => Promise<void>,
  place: number,
): Promise<NotedPull> {
  const isOld = place % 2 === 1;
  const names = [0, 1, 2].map((each) => {
    const number = (place * 7 + each * 1013) % (PACKAGES / 2);
    return `p${2 * number + (isOld ? 1 : 0)}`;
  });
  const config = `{"image":${place}}`;
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: digestOfText(config),
      size: config.length,
    },
    layers: [],
  });
  await put(storageKey.layer(digestOfText(config)), config);
  await put(storageKey.manifest(digestOfText(manifest)), manifest);
  const recipe = canonicalRecipe(recipeOf(names.join("/")));
  return {
    manifests: [digestOfText(manifest)],
    of: { recipe, tag: tagOf("latest"), pin: PIN, packing: PACKING },
    pulledAtMs: Date.now() - (isOld ? 60 * DAY_MS : DAY_MS),
  };
}
