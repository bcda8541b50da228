// The edge and the origin compose apart from each other, and to the same bytes: random combinations of
// packages and front words, in each form and for each platform, of what was pulled before.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VARIANT_TYPES, VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { digestOf } from "../../registry/naming/digest.ts";
import { EXPANSION_WORDS, RECIPE_WORDS } from "../../registry/naming/front-words.ts";
import { shuffle } from "../bench/random.ts";
import { createRandom, pick, type Random } from "../hostile-text.ts";
import { get } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

const SEED = 2026;
const COMBINATIONS = 500;
const LARGEST = 8;
const FRONT_WORDS = [...EXPANSION_WORDS, ...RECIPE_WORDS];
/** Small ones, and those that a config says something of: of a C library, of modules, of time zones. */
const PACKAGES = [
  ...["git", "htop", "jq", "hello", "tree", "file", "xz", "zstd", "less", "tzdata", "openssl.out"],
  ...["python3", "python3packages.six", "perl", "curl"],
] as const;

interface Combination {
  readonly name: string;
  readonly variant: Variant;
}

let deployment: Deployment;
let origin: Part;

beforeAll(async () => {
  deployment = await deploy();
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  const words = FRONT_WORDS.map((word) => `${word}/hello`);
  const known = [PACKAGES.join("/"), ...words].flatMap((name) =>
    VARIANTS.map((variant) => ({ name, variant })),
  );
  // From the origin, so that none is composed at the edge and none goes without its backfill.
  for (const each of known) await manifestOf(deployment.originUrl, each);
  const isBackfilled = () =>
    origin.log.filter(({ msg }) => msg === "backfilled").length === known.length;
  await origin.waitFor(isBackfilled);
});

afterAll(() => deployment?.close());

describe("a combination of known packages", () => {
  test(`is the same from edge and origin: ${COMBINATIONS} of seed ${SEED}`, async () => {
    const left = combinations().values();
    const differing: string[] = [];
    const compare = async () => {
      for (const each of left) {
        const edge = await manifestOf(deployment.edgeUrl, each);
        expect(edge.cacheStatus, each.name).toMatch(/detail=composed/);
        const made = await manifestOf(deployment.originUrl, each);
        if (edge.text !== made.text) differing.push(`${each.name} (${each.variant})`);
        await composesConfig(each, edge.text);
      }
    };
    await Promise.all([compare(), compare(), compare(), compare()]);
    expect(differing).toStrictEqual([]);
  });
});

/** The config that the manifest names, composed by itself, has the digest that it is named by. */
async function composesConfig({ name }: Combination, manifest: string): Promise<void> {
  const { config } = JSON.parse(manifest) as { readonly config: { readonly digest: string } };
  const response = await get(deployment.edgeUrl, `/v2/${name}/blobs/${config.digest}`);
  expect(response.status, name).toBe(200);
  expect(await digestOf(new Uint8Array(await response.arrayBuffer()))).toBe(config.digest);
}

async function manifestOf(url: string, { name, variant }: Combination) {
  const headers = { Accept: VARIANT_TYPES[variant].manifest, "User-Agent": AGENTS[variant] };
  const response = await get(url, `/v2/${name}/manifests/latest`, { headers });
  const text = await response.text();
  expect(response.status, `${name}: ${text}`).toBe(200);
  return { text, cacheStatus: response.headers.get("cache-status") ?? "" };
}

/** Who reads zstd, and who does not. */
const AGENTS: Readonly<Record<Variant, string>> = {
  "oci-zstd": "containerd/v2.1.0",
  "oci-gzip": "test",
  "docker-gzip": "test",
};

/** No two alike. */
function combinations(): readonly Combination[] {
  const random = createRandom(SEED);
  const chosen = new Map<string, Combination>();
  while (chosen.size < COMBINATIONS) {
    const name = recipe(random);
    const variant = pick(random, VARIANTS);
    chosen.set(`${name} ${variant}`, { name, variant });
  }
  return [...chosen.values()];
}

function recipe(random: Random): string {
  const words = shuffle(random, FRONT_WORDS).slice(0, random.below(FRONT_WORDS.length + 1));
  const packages = shuffle(random, PACKAGES).slice(0, 1 + random.below(LARGEST));
  return [...words, ...packages].join("/");
}
