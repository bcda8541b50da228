// In what two images that ought to be one differ, in words: which layers, by what they hold, and
// what is first another in them; which fields of config and manifest.

import { VARIANT_TYPES } from "../../registry/image/variant.ts";
import { type FieldDifference, jsonDifferences } from "./json-difference.ts";
import { layerDifference } from "./layer-difference.ts";
import { layerTar } from "./layer-tar.ts";
import type { ImageContent, LayerContent } from "./published.ts";

/** Empty where they are equal. */
export async function differences(
  registry: ImageContent,
  here: ImageContent,
): Promise<readonly string[]> {
  if (registry.digest === here.digest) return [];
  const lines = [...packingDifference(registry, here), ...(await layerLines(registry, here))];
  const follow = isSameLayers(registry, here) ? [] : ["rootfs", "history"];
  const config = without(jsonDifferences(registry.config, here.config), follow);
  const manifest = jsonDifferences(registry.manifest, here.manifest);
  lines.push(...config.slice(0, MAX_FIELDS).map((each) => fieldLine("config", each)));
  if (config.length > MAX_FIELDS) lines.push(`and ${config.length - MAX_FIELDS} fields more`);
  for (const each of without(manifest, ["config", "layers"])) {
    lines.push(fieldLine("manifest", each));
  }
  return lines.length > 0 ? lines : ["the same values, written otherwise"];
}

/** Longer lists say no more to a person. */
const MAX_FIELDS = 20;
const MAX_VALUE_CHARACTERS = 200;

function packingDifference(registry: ImageContent, here: ImageContent): readonly string[] {
  if (registry.packing === here.packing) return [];
  return [
    `packed otherwise: in the registry ${registry.packing}, here ${here.packing}; another version of nixport or of Node gives other bytes`,
  ];
}

async function layerLines(registry: ImageContent, here: ImageContent): Promise<readonly string[]> {
  const theirs = lacking(registry.layers, here.layers);
  const ours = [...lacking(here.layers, registry.layers)];
  const lines: string[] = [];
  for (const layer of theirs) {
    const place = ours.findIndex(({ holds }) => holds === layer.holds);
    const [other] = place < 0 ? [] : ours.splice(place, 1);
    if (other === undefined) lines.push(`layer only in the registry: ${nameOf(layer)}`);
    else {
      lines.push(`layer of ${layer.holds}: in the registry ${layer.digest}, here ${other.digest}`);
      lines.push(`  ${await insideDifference([registry, layer], [here, other])}`);
    }
  }
  lines.push(...ours.map((layer) => `layer only here: ${nameOf(layer)}`));
  if (lines.length === 0 && !isSameLayers(registry, here)) lines.push("layers in another order");
  return lines;
}

type Stored = readonly [image: ImageContent, layer: LayerContent];

async function insideDifference(registry: Stored, here: Stored): Promise<string> {
  // Other versions of zlib or zstd compress to other bytes.
  if (registry[1].diffId === here[1].diffId) return "the same files, compressed otherwise";
  const [theirs, ours] = [registry, here].map(([{ open, variant }, { digest }]) =>
    layerTar(open(digest), VARIANT_TYPES[variant].form),
  );
  if (theirs === undefined || ours === undefined) throw new Error("two layers are compared");
  try {
    return await layerDifference(theirs, ours);
  } catch (error) {
    return `what is in them cannot be compared: ${(error as Error).message}`;
  }
}

function nameOf({ holds, digest }: LayerContent): string {
  return `${holds} (${digest})`;
}

function lacking(layers: readonly LayerContent[], among: readonly LayerContent[]) {
  const known = new Set(among.map(({ digest }) => digest));
  return layers.filter(({ digest }) => !known.has(digest));
}

function isSameLayers(registry: ImageContent, here: ImageContent): boolean {
  const list = ({ layers }: ImageContent) => layers.map(({ digest }) => digest).join(" ");
  return list(registry) === list(here);
}

function without(fields: readonly FieldDifference[], left: readonly string[]) {
  return fields.filter(({ field }) => !left.includes(field.split(/[.[]/)[0] ?? ""));
}

function fieldLine(document: string, { field, registry, here }: FieldDifference): string {
  return `${document} ${field}: in the registry ${shown(registry)}, here ${shown(here)}`;
}

function shown(value: string | undefined): string {
  if (value === undefined) return "absent";
  return value.length <= MAX_VALUE_CHARACTERS ? value : `${value.slice(0, MAX_VALUE_CHARACTERS)}…`;
}
