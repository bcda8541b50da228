// The layers of an image as bars by size, each with what it holds and who needs it.

import type { ImageFacts, LayerFacts, PartFacts } from "../../registry/image/image-facts.ts";
import { storePathName } from "../../registry/naming/store-path.ts";
import { type Content, type Html, html } from "./escape.ts";
import { plural } from "./quantities.ts";
import { barOf, sizeOf, told, wideTable } from "./told.ts";

export function layersSection({ layers, parts }: ImageFacts): Html {
  const largest = Math.max(1, ...layers.map(({ sizeBytes }) => sizeBytes));
  const rows = layers.map((layer, place) => layerRow(layer, place, parts, largest));
  return html`<section aria-labelledby="layers"><h2 id="layers">Layers</h2>
${wideTable(
  "Layers",
  html`<caption>The lowest first; what images share lies lowest. Sizes are compressed.</caption>
<thead><tr><th scope="col">Layer</th><th scope="col">Size</th><th scope="col">Holds</th><th scope="col">Needed by</th></tr></thead>
<tbody>${rows}</tbody>`,
)}
</section>`;
}

function layerRow(
  layer: LayerFacts,
  place: number,
  parts: readonly PartFacts[],
  largestBytes: number,
): Html {
  const needing = layer.neededBy.flatMap((each) => parts[each] ?? []);
  return html`<tr id="layer-${place + 1}"><th scope="row">${place + 1}</th>
<td class="number">${sizeOf(layer.sizeBytes)}${barOf(layer.sizeBytes / largestBytes)}</td>
<td>${holds(layer, parts)}</td>
<td>${partNames(needing)}</td></tr>
`;
}

function holds(layer: LayerFacts, parts: readonly PartFacts[]): Html {
  const { storePaths, links, digest, diffId, view } = layer;
  const shown = view === null ? undefined : parts[view];
  return html`<details><summary>${inShort(layer, shown)}</summary>
${storePaths.length > 0 && html`<ul class="paths">${storePaths.map((path) => html`<li><code>${told(path)}</code></li>`)}</ul>`}
${links.length > 0 && html`<ul class="paths">${links.map(({ path, target }) => html`<li><code>${told(path)}</code> → <code>${told(target)}</code></li>`)}</ul>`}
<dl><div><dt>Digest</dt><dd><code class="digest">${digest}</code></dd></div>
<div><dt>Unpacked</dt><dd><code class="digest">${diffId}</code></dd></div></dl>
</details>`;
}

const MAX_NAMED = 3;

function inShort({ storePaths, links }: LayerFacts, view: PartFacts | undefined): Content {
  const named = storePaths.slice(0, MAX_NAMED).map(storePathName);
  const more = storePaths.length - named.length;
  return listed([
    ...named.map(told),
    ...(more > 0 ? [`${more} more`] : []),
    ...(links.length > 0 ? [plural(links.length, "link")] : []),
    ...(view !== undefined && links.length === 0 ? [viewWords(view)] : []),
  ]);
}

function viewWords(part: PartFacts): Content {
  if (part.kind === "ground") return "the files of every image";
  if (part.kind === "database") return "what Nix knows of the image";
  return ["the links of ", partName(part)];
}

/** How a part is called where others are. */
export function partName({ kind, packages }: PartFacts): Content {
  switch (kind) {
    case "package":
      return listed(packages.map(told));
    case "ground":
      return "every image";
    case "database":
      return "Nix's database";
    case "shell":
    case "unix":
    case "fhs":
      return kind;
    default:
      return kind satisfies never;
  }
}

function partNames(parts: readonly PartFacts[]): Content {
  return parts.length === 0 ? "–" : listed(parts.map(partName));
}

function listed(items: readonly Content[]): Content {
  return items.map((item, place) => [place > 0 && ", ", item]);
}
