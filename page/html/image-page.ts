// The page of an image: what it holds, why there is none, or that nobody has made it yet. It says all of it
// without a script.

import {
  type ImageAnswer,
  type ImageFailed,
  pinHeaders,
  statusOf,
} from "../../registry/http/image-answer.ts";
import { pagePath } from "../../registry/http/page-route.ts";
import type { ImageFacts, VariantFacts } from "../../registry/image/image-facts.ts";
import { type Architecture, platformName } from "../../registry/naming/recipe.ts";
import type { AssetFiles } from "./assets.ts";
import { document } from "./document.ts";
import { type Content, type Html, html } from "./escape.ts";
import { closureSection } from "./image-closure.ts";
import { configSection, historySection, packagesSection } from "./image-contents.ts";
import { failureSection } from "./image-failure.ts";
import { layersSection } from "./image-layers.ts";
import { plural, sizeText } from "./quantities.ts";
import { lines } from "./recipe-view.ts";
import { pageResponse } from "./response.ts";
import { sizeOf, timeOf, told, wideTable } from "./told.ts";

export interface ImagePageOptions {
  readonly files: AssetFiles;
  /** As clients name the registry: host and port. */
  readonly host: string;
}

/** With the status that a pull would have; never kept, for a tag may move and a build may end. */
export function imagePageResponse(
  request: Request,
  answer: ImageAnswer,
  options: ImagePageOptions,
): Promise<Response> {
  const headers = { ...pinHeaders(answer), "Cache-Control": "no-store" };
  return pageResponse(request, imagePage(answer, options), { status: statusOf(answer), headers });
}

export function imagePage(answer: ImageAnswer, { files, host }: ImagePageOptions): Html {
  const { repository, tag } = answer;
  const name = `${repository}:${tag}`;
  return document({
    title: `${name} · nixport`,
    description: describe(answer),
    files,
    scripts: ["image.js"],
    content: html`<h1 class="image">${told(repository)}:${told(tag)}</h1>
${platforms(answer)}
${stateOf(answer, host)}
${historySection(answer)}
<p><a href="${dataPath(answer, answer.architecture)}">All of this as JSON</a></p>`,
  });
}

function describe({ repository, tag, image }: ImageAnswer): string {
  if (image.state !== "known") return `The container image ${repository}:${tag}`;
  const { packages, layers, variants } = image.facts;
  const size = sizeText(variants[0]?.sizeBytes ?? 0);
  const counts = `${plural(packages.length, "package")} in ${plural(layers.length, "layer")}`;
  return `The container image ${repository}:${tag}: ${counts}, ${size} compressed`;
}

/** Which platform this is about, and links to the others. */
function platforms(answer: ImageAnswer): Html {
  const { architecture, platforms: all } = answer;
  if (all.length === 1) return html`<p>For ${platformName(architecture)}</p>`;
  const items = all.map((each) =>
    each === architecture
      ? html`<li><span aria-current="page">${platformName(each)}</span></li>`
      : html`<li><a href="${pageOf(answer, each)}">${platformName(each)}</a></li>`,
  );
  return html`<nav aria-label="Platforms"><ul class="platforms">${items}</ul></nav>`;
}

function pageOf({ repository, tag }: ImageAnswer, architecture: Architecture): string {
  return `${pagePath.image(repository, tag)}?platform=${platformName(architecture)}`;
}

function dataPath({ repository, tag }: ImageAnswer, architecture: Architecture): string {
  return `${pagePath.imageData(repository, tag)}?platform=${platformName(architecture)}`;
}

function stateOf(answer: ImageAnswer, host: string): Content {
  const { image } = answer;
  switch (image.state) {
    case "known":
      return known(answer, image.facts, host);
    case "unknown":
      return html`<section aria-labelledby="unknown"><h2 id="unknown">Not made yet</h2>
<p>${told(image.message)}. It is made when it is pulled.</p>
${progress(answer)}
</section>
${pullSection(answer, host, null)}`;
    case "failed":
      return failed(answer, image, host);
    default:
      return image satisfies never;
  }
}

function failed(answer: ImageAnswer, image: ImageFailed, host: string): Content {
  if (!image.mayPass) return failureSection(image);
  return html`${failureSection(image)}
<section aria-labelledby="again"><h2 id="again">Another try may go better</h2>
${progress(answer)}
</section>
${pullSection(answer, host, null)}`;
}

/** Where a script shows how far it is; without one, where a program would read it. */
function progress({ repository, tag }: ImageAnswer): Html {
  const path = pagePath.progress(repository, tag);
  return html`<div id="progress" data-progress="${path}"><p id="progress-step" role="status"></p><div id="progress-shown"><p class="plain"><a href="${path}">Its progress</a>, as a stream of events, while it is made.</p></div></div>`;
}

function known(answer: ImageAnswer, facts: ImageFacts, host: string): Content {
  return html`${summary(answer, facts)}
${pullSection(answer, host, facts)}
${layersSection(facts)}
${packagesSection(facts)}
${closureSection(facts)}
${configSection(facts)}`;
}

function summary({ tag }: ImageAnswer, facts: ImageFacts): Html {
  const { recipe, pin, resolvedAtMs, isNewest, variants, layers, packages } = facts;
  const sizeBytes = variants[0]?.sizeBytes ?? 0;
  return html`<section aria-labelledby="summary"><h2 id="summary">At a glance</h2>
<dl>
<div><dt>Compressed size</dt><dd>${sizeOf(sizeBytes)} in ${plural(layers.length, "layer")}</dd></div>
<div><dt>Packages</dt><dd>${packages.length}</dd></div>
<div><dt>Recipe</dt><dd><code>${told(recipe)}</code></dd></div>
<div><dt>Revision</dt><dd><code>${told(pin)}</code></dd></div>
${resolvedAtMs !== null && html`<div><dt>Where ${told(tag)} led</dt><dd>${timeOf(resolvedAtMs)}</dd></div>`}
</dl>
${!isNewest && html`<p class="note">${told(tag)} has moved on; nobody has made this image at its new revision yet.</p>`}
</section>`;
}

const FORM_WORDS = {
  "oci-zstd": "OCI, layers in zstd",
  "oci-gzip": "OCI, layers in gzip",
  "docker-gzip": "Docker schema 2, layers in gzip",
} as const;

/** The lines that use it, by its digest where that is known. */
function pullSection(
  { repository, tag }: ImageAnswer,
  host: string,
  facts: ImageFacts | null,
): Html {
  const known = facts?.variants ?? [];
  const [widest] = known;
  const digest = widest?.digest ?? null;
  return html`<section aria-labelledby="pull"><h2 id="pull">Pull it</h2>
${widest?.variant === "oci-zstd" && html`<p>So far nobody has pulled it in another form than zstd, which not every client reads. By its tag each client gets what it reads: <code>docker pull ${host}/${repository}:${tag}</code>.</p>`}
<div id="lines" class="lines">${lines({ host, repository, tag, digest })}</div>
${known.length > 0 && digestTable(known, `${host}/${repository}`)}
<p id="copied" class="aside" role="status"></p>
</section>`;
}

function digestTable(variants: readonly VariantFacts[], image: string): Html {
  return wideTable(
    "Digests",
    html`<caption>In each form that is known; it means the same bytes for ever</caption>
<thead><tr><th scope="col">Form</th><th scope="col">Size</th><th scope="col">By its digest</th></tr></thead>
<tbody>${variants.map(
      ({ variant, digest, sizeBytes }) =>
        html`<tr><th scope="row">${FORM_WORDS[variant]}</th><td class="number">${sizeOf(sizeBytes)}</td>
<td id="form-${variant}"><code>${image}@${digest}</code> <button type="button" class="copy scripted" data-copy="form-${variant}" aria-label="Copy the name of ${FORM_WORDS[variant]}">Copy</button></td></tr>
`,
    )}</tbody>`,
  );
}
