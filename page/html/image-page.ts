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
import { pageResponse } from "./response.ts";
import { countOf, describeSize, sizeOf, timeOf, told, wideTable } from "./told.ts";

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
  const size = describeSize(variants[0]?.sizeBytes ?? 0);
  const counts = `${countOf(packages.length, "package")} in ${countOf(layers.length, "layer")}`;
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
<p class="reason">${told(image.message)}</p>
<p>It is made when it is pulled. <a href="${progressPath(answer)}">Follow its progress</a> while it is.</p>
${line(`docker pull ${host}/${answer.repository}:${answer.tag}`)}
</section>`;
    case "failed":
      return failed(answer, image, host);
    default:
      return image satisfies never;
  }
}

function progressPath({ repository, tag }: ImageAnswer): string {
  return pagePath.progress(repository, tag);
}

function failed(answer: ImageAnswer, image: ImageFailed, host: string): Content {
  return html`${failureSection(image)}
${
  image.mayPass &&
  html`<p>Another try may go better. <a href="${progressPath(answer)}">Follow its progress</a> while it is made.</p>
${line(`docker pull ${host}/${answer.repository}:${answer.tag}`)}`
}`;
}

function known(answer: ImageAnswer, facts: ImageFacts, host: string): Content {
  return html`${summary(answer, facts)}
${pinnedLines(answer, facts, host)}
${layersSection(facts)}
${packagesSection(facts)}
${closureSection(facts)}
${configSection(facts)}`;
}

function summary({ tag }: ImageAnswer, facts: ImageFacts): Html {
  const { recipe, pin, resolvedAtMs, isNewest, variants, layers, packages } = facts;
  const sizeBytes = variants[0]?.sizeBytes ?? 0;
  return html`<section aria-labelledby="summary"><h2 id="summary">At a glance</h2>
<dl class="facts">
<div><dt>Compressed size</dt><dd>${sizeOf(sizeBytes)} in ${countOf(layers.length, "layer")}</dd></div>
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

function pinnedLines(
  { repository, tag }: ImageAnswer,
  { variants }: ImageFacts,
  host: string,
): Html {
  const pinned = variants
    .slice(0, 1)
    .map(({ digest }) => `${host}/${repository}@${digest}`)
    .flatMap((image) => [
      `docker pull ${image}`,
      `podman run -it ${image}`,
      `FROM ${image}`,
      `COPY --from=${image} / /`,
    ]);
  return html`<section aria-labelledby="pull"><h2 id="pull">Pull it</h2>
<p>As its tag is answered, in the form that suits the client:</p>
${line(`docker pull ${host}/${repository}:${tag}`)}
<p>Exactly this image, whatever becomes of the tag:</p>
${pinned.map(line)}
${wideTable(
  "Digests",
  html`<caption>Its digest in each form that is known</caption>
<thead><tr><th scope="col">Form</th><th scope="col">Size</th><th scope="col">Digest</th></tr></thead>
<tbody>${variants.map(variantRow)}</tbody>`,
)}
</section>`;
}

function variantRow({ variant, digest, sizeBytes }: VariantFacts): Html {
  return html`<tr><th scope="row">${FORM_WORDS[variant]}</th><td class="number">${sizeOf(sizeBytes)}</td>
<td><code class="digest" data-copy>${digest}</code></td></tr>
`;
}

/** A line to copy: with a button where there is a script. */
function line(text: string): Html {
  return html`<pre class="line" data-copy><code>${text}</code></pre>`;
}
