// What each part of an image needs, as a tree: the part, the layers that its closure lies in, the store paths.

import type { ClosureInLayer, ImageFacts, PartFacts } from "../../registry/image/image-facts.ts";
import { storePathName } from "../../registry/naming/store-path.ts";
import { type Html, html } from "./escape.ts";
import { partName } from "./image-layers.ts";
import { plural } from "./quantities.ts";
import { sizeOf, told } from "./told.ts";

export function closureSection(facts: ImageFacts): Html {
  return html`<section aria-labelledby="closure"><h2 id="closure">What needs what</h2>
<p>Each part of the image with all that it needs to run. A layer that several need is in the image once.</p>
<ul class="tree">${facts.parts.map((part) => partItem(part, facts))}</ul>
</section>`;
}

function partItem(part: PartFacts, facts: ImageFacts): Html {
  const pathCount = part.closure.reduce((sum, { storePaths }) => sum + storePaths.length, 0);
  return html`<li><details><summary>${partName(part)}: ${plural(pathCount, "store path")} in ${plural(part.closure.length, "layer")}, ${sizeOf(part.sizeBytes)}</summary>
<ul>${part.closure.map((each) => layerItem(each, part, facts))}</ul>
</details></li>
`;
}

function layerItem(
  { layer: place, storePaths }: ClosureInLayer,
  part: PartFacts,
  { layers }: ImageFacts,
): Html | null {
  const layer = layers[place];
  if (layer === undefined) return null;
  const others = layer.neededBy.length - 1;
  const shared =
    others > 0
      ? `, which ${plural(others, "other part")} ${others === 1 ? "needs" : "need"} too`
      : "";
  const name = `layer ${place + 1}`;
  const link = html`<a href="#layer-${place + 1}">${name}</a>`;
  const about = html` of ${sizeOf(layer.sizeBytes)}${shared}`;
  const paths = storePaths.flatMap((each) => layer.storePaths[each] ?? []);
  if (paths.length === 0) return html`<li>${link}${about}: links</li>`;
  const items = paths.map((path) => {
    const isOwn = part.outputs.includes(path);
    return html`<li title="${path}">${told(storePathName(path))}${isOwn && " (its own)"}</li>`;
  });
  // What opens is no place for a link: a click would do either.
  return html`<li><details><summary>${name}${about}: ${plural(paths.length, "store path")}</summary><ul>${items}<li>in ${link}</li></ul></details></li>`;
}
