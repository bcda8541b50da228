// In what two images that ought to be one differ, in words.

import type { ImageContent } from "./published.ts";

/** Empty where they are equal. */
export function differences(registry: ImageContent, here: ImageContent): readonly string[] {
  if (registry.digest === here.digest) return [];
  const lines: string[] = [];
  const count = Math.max(registry.layers.length, here.layers.length);
  for (let place = 0; place < count; place++) {
    const [theirs, ours] = [registry.layers[place], here.layers[place]];
    if (theirs?.digest === ours?.digest) continue;
    const said = `layer ${place + 1} of ${count}`;
    if (theirs === undefined) lines.push(`${said}: only here: ${ours?.digest} (${ours?.holds})`);
    else if (ours === undefined) {
      lines.push(`${said}: only in the registry: ${theirs.digest} (${theirs.holds})`);
    } else {
      lines.push(`${said}: in the registry ${theirs.digest} (${theirs.holds})`);
      lines.push(`  here ${ours.digest} (${ours.holds})`);
      // Other versions of zlib or zstd compress to other bytes.
      if (theirs.diffId === ours.diffId) lines.push("  the same files, compressed otherwise");
    }
  }
  if (registry.configDigest !== here.configDigest) {
    lines.push(`config: in the registry ${registry.configDigest}, here ${here.configDigest}`);
  }
  return lines.length > 0 ? lines : ["the manifests differ in other things than layers and config"];
}
