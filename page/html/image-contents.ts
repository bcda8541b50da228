// What an image's packages are, what its config tells a runtime, and where its tag led.

import type { ImageAnswer } from "../../registry/http/image-answer.ts";
import type { ImageConfig } from "../../registry/image/image-config.ts";
import type { ImageFacts, PackageFacts } from "../../registry/image/image-facts.ts";
import { isImplicit, type PackageName } from "../../registry/naming/recipe.ts";
import { type Content, type Html, html } from "./escape.ts";
import { timeOf, told, wideTable } from "./told.ts";

export function packagesSection({ packages }: ImageFacts): Html {
  return html`<section aria-labelledby="packages"><h2 id="packages">Packages</h2>
${wideTable(
  "Packages",
  html`<caption>What the name says, what its front words stand for or need, and what every image holds</caption>
<thead><tr><th scope="col">Package</th><th scope="col">Version</th><th scope="col">Licence</th><th scope="col">Program</th><th scope="col">What it is</th></tr></thead>
<tbody>${packages.map(packageRow)}</tbody>`,
)}
</section>`;
}

function packageRow(each: PackageFacts): Html {
  const { attribute, version, licenses, mainProgram, description, homepage } = each;
  return html`<tr><th scope="row"><code>${told(attribute)}</code>${because(each)}</th>
<td>${version === null ? "–" : told(version)}</td>
<td>${licenses.length === 0 ? "not said" : licenses.map((licence, place) => [place > 0 && ", ", told(licence)])}</td>
<td>${mainProgram === null ? "–" : html`<code>${told(mainProgram)}</code>`}</td>
<td>${description !== null && told(description)}${homepage !== null && html` <a href="${homepage}" rel="nofollow noreferrer">Homepage</a>`}</td></tr>
`;
}

function because({ attribute, image, neededBy }: PackageFacts): Content {
  if (neededBy !== null) return html` <small>for ${neededBy}</small>`;
  if (image !== null) return html` <small>of ${told(image)}</small>`;
  return isImplicit(attribute as PackageName) && html` <small>in every image</small>`;
}

export function configSection({ config }: ImageFacts): Html {
  const rows = configRows(config);
  return html`<section aria-labelledby="config"><h2 id="config">Config</h2>
${wideTable(
  "Config",
  html`<caption>What a runtime is told</caption>
<thead><tr><th scope="col">Field</th><th scope="col">Value</th></tr></thead>
<tbody>${rows.map(([field, values]) => html`<tr><th scope="row">${field}</th><td class="several">${values.map((value) => html`<code>${told(value)}</code>`)}</td></tr>`)}</tbody>`,
)}
</section>`;
}

/** What a shell-like reader takes for one word stands in quotes. */
function configRows(config: ImageConfig): readonly (readonly [string, readonly string[]])[] {
  const words = (list: readonly string[] = []) =>
    list.map((word) => JSON.stringify(word)).join(" ");
  const keys = (set: object = {}) => Object.keys(set);
  const labels = Object.entries(config.Labels ?? {}).map(([name, value]) => `${name}=${value}`);
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ["Entrypoint", one(words(config.Entrypoint))],
    ["Command", one(words(config.Cmd))],
    ["User", one(config.User)],
    ["Working directory", one(config.WorkingDir)],
    ["Environment", config.Env ?? []],
    ["Ports", keys(config.ExposedPorts)],
    ["Volumes", keys(config.Volumes)],
    ["Stop signal", one(config.StopSignal)],
    ["Labels", labels],
  ];
  return rows.filter(([, values]) => values.length > 0);
}

function one(text: string | undefined): readonly string[] {
  return text ? [text] : [];
}

/** Nothing of a tag that never moves, or of which nothing is remembered. */
export function historySection({ tag, moves, image }: ImageAnswer): Content {
  if (moves.length === 0) return null;
  const shown = image.state === "known" ? image.facts.pin : undefined;
  const items = moves.map(
    ({ pin, sinceMs }) =>
      html`<li>${timeOf(sinceMs)}: <code>${told(pin)}</code>${pin === shown && " (this image)"}</li>`,
  );
  return html`<section aria-labelledby="history"><h2 id="history">Where ${told(tag)} led</h2>
<p>Since when, the newest first, as far as it is remembered:</p>
<ol class="history">${items}</ol>
</section>`;
}
