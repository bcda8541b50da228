// The parts of the page at `/` that change while somebody puts a recipe together. The server draws them first
// and the script again, by these same functions.

import { pagePath } from "../../registry/http/page-route.ts";
import { type Chosen, type FrontWord, problemOf, queryOf, repositoryOf } from "../recipe/chosen.ts";
import type { ImageState, Sharing } from "../recipe/image-state.ts";
import { type LineOf, pinnedLines } from "../recipe/pinned-lines.ts";
import type { FoundPackage } from "../search/corpus.ts";
import { type Html, html } from "./escape.ts";
import { plural, sizeText } from "./quantities.ts";
import { barOf } from "./told.ts";

export const WORD_MEANINGS: Readonly<Record<FrontWord, string>> = {
  shell: "bash and the usual small programs",
  unix: "grep, sed, awk, find, tar, gzip, less, ps",
  fhs: "a loader for programs that Nix did not build",
  nonroot: "user 65532 instead of root",
};

/** Each is a way to the same page without it. */
export function chips(chosen: Chosen): Html {
  return html`${chosen.packages.map((name) => {
    const packages = chosen.packages.filter((each) => each !== name);
    const address = queryOf({ ...chosen, packages }) || pagePath.home;
    return html`<li><span>${name}</span><a href="${address}" data-remove="${name}" aria-label="Remove ${name}"></a></li>`;
  })}`;
}

/** The name, large, its parts where a line may break. */
export function imageName(host: string, chosen: Chosen): Html {
  const repository = repositoryOf(chosen);
  const tag = chosen.tag === "latest" ? null : html`<b>:${chosen.tag}</b>`;
  const parts = repository.split("/").map((part) => html`/<wbr><b>${part}</b>`);
  return html`<span class="host">${host}</span>${repository === "" ? null : parts}${tag}`;
}

export function problem(chosen: Chosen): Html {
  const reason = problemOf(chosen);
  return reason === undefined ? html`` : html`<p class="problem">${reason}</p>`;
}

export function lines(image: LineOf): Html {
  return html`${pinnedLines(image).map(
    ({ id, label, text }) => html`<div class="line" id="line-${id}">
<h3>${label}</h3>
<pre><code>${text}</code></pre>
<button type="button" class="copy scripted" data-copy="line-${id}" aria-label="Copy the line for ${label}">Copy</button>
</div>
`,
  )}`;
}

export interface ImageView {
  readonly chosen: Chosen;
  /** Undefined while it is asked for, null where nobody could tell. */
  readonly state: ImageState | null | undefined;
  /** With the images that somebody has already; null where none was named. */
  readonly sharing: Sharing | null;
}

export function imageFacts({ chosen, state, sharing }: ImageView): Html {
  if (state === undefined) return html`<p>Looking it up …</p>`;
  if (state === null) return html`<p>Nothing could be found out about this image just now.</p>`;
  const page = pagePath.image(repositoryOf(chosen), chosen.tag);
  switch (state.kind) {
    case "unknown":
      return html`<p>Nobody has pulled this yet: the first pull makes it. Its size and digest are known from then on. <a href="${page}">Its page</a></p>`;
    case "failed":
      return html`<p class="problem">${state.message}</p><p><a href="${page}">What happened</a></p>`;
    case "known": {
      const { layers, digest, architecture, isZstd, sizeBytes } = state;
      return html`<dl>
<div><dt>Compressed</dt><dd>${sizeText(sizeBytes)} in ${plural(layers.length, "layer")}</dd></div>
${sharing && sharedFacts(sharing)}<div><dt>Digest</dt><dd><code>${digest}</code> for linux/${architecture}${isZstd && ", for clients that read zstd"}</dd></div>
</dl>
<p><a href="${page}">What is in it</a></p>`;
    }
    default:
      return state satisfies never;
  }
}

/** The same in a sentence, for whoever hears the page: nobody wants a digest read out. */
export function imageSentence({ chosen, state, sharing }: ImageView): string {
  const name = repositoryOf(chosen);
  switch (state?.kind) {
    case undefined:
      return "";
    case "unknown":
      return `${name}: nobody has pulled this yet.`;
    case "failed":
      return `${name} cannot be had.`;
    case "known": {
      const size = `${name}: ${sizeText(state.sizeBytes)} compressed`;
      if (sharing === null) return `${size}.`;
      return `${size}, ${sizeText(sharing.totalBytes - sharing.sharedBytes)} to fetch.`;
    }
    default:
      return state satisfies never;
  }
}

function sharedFacts({ totalBytes, sharedBytes }: Sharing): Html {
  const part = totalBytes === 0 ? 0 : sharedBytes / totalBytes;
  return html`<div><dt>Shared</dt><dd>${sizeText(sharedBytes)} you have already, ${sizeText(totalBytes - sharedBytes)} to fetch
${barOf(part)}</dd></div>
`;
}

/** The options of a listbox; ids are `result-` and a place. */
export function results(packages: readonly FoundPackage[], chosen: Chosen): Html {
  return html`${packages.map(({ name, attribute, program, description }, place) => {
    const isChosen = chosen.packages.includes(name);
    const last = attribute.slice(attribute.lastIndexOf(".") + 1);
    const runs =
      program !== null && program !== last && html` <span class="runs">runs ${program}</span>`;
    return html`<li role="option" id="result-${place}" aria-selected="false" data-name="${name}"><span class="found">${name}${isChosen && html` <span class="runs">chosen</span>`}${runs}</span>${description && html`<span class="what">${description}</span>`}</li>`;
  })}`;
}
