// The page at `/`: putting a recipe together, and the lines that use its image. Without scripts it is a form
// that gives the lines; with them packages are found while one types.

import { pagePath } from "../../registry/http/page-route.ts";
import type { Platforms } from "../../registry/http/platforms.ts";
import { ARCHITECTURES, platformName } from "../../registry/naming/recipe.ts";
import {
  type Chosen,
  FRONT_WORDS,
  NOTHING,
  type ReadName,
  repositoryOf,
} from "../recipe/chosen.ts";
import { type AssetFiles, assetPath } from "./assets.ts";
import { document } from "./document.ts";
import { type Html, html } from "./escape.ts";
import { chips, imageName, lines, problem, WORD_MEANINGS } from "./recipe-view.ts";

export interface HomeFacts {
  readonly files: AssetFiles;
  /** As clients name the registry: host and port. */
  readonly host: string;
  /** Which a name without one means. */
  readonly platforms: Platforms;
  /** What the address says was chosen. */
  readonly read: ReadName | undefined;
}

export function homePage({ files, host, platforms, read }: HomeFacts): Html {
  const chosen = read?.kind === "chosen" ? read.chosen : NOTHING;
  const reason = read?.kind === "invalid" ? html`<p class="problem">${read.reason}</p>` : null;
  return document({
    title: "nixport: the image name is the recipe",
    description:
      "A container registry in which the image name is the recipe: choose packages, pull an image of them.",
    files,
    scripts: ["home.js"],
    content: html`<div class="intro">
<h1>The image name is the recipe</h1>
<p>Every part of a name is a package. Nobody wrote a Dockerfile for <code>${host}/shell/git/htop</code>: pull it, and there are a shell, git and htop.</p>
</div>
<div class="workbench" id="workbench" data-host="${host}" data-search="${assetPath(files, "search.js")}">
${form(chosen, platforms, reason)}
${image(host, chosen)}
</div>
${explanation(host)}`,
  });
}

function form(chosen: Chosen, platforms: Platforms, reason: Html | null): Html {
  const isWord = (word: string) => chosen.words.some((each) => each === word);
  return html`<form id="recipe" class="recipe" action="${pagePath.home}" method="get">
<section class="search">
<label for="search">Packages</label>
<div class="field">
<input id="search" name="packages" type="search" autocomplete="off" autocapitalize="none" spellcheck="false" enterkeyhint="enter" placeholder="git htop python3packages.numpy" aria-describedby="search-status">
<ul id="results" role="listbox" aria-label="Packages found" hidden></ul>
</div>
<p class="hint"><span id="search-status" role="status">Names of packages, with blanks between them.</span> <span id="login"></span></p>
${reason}
<ul id="chosen" class="chips" aria-label="Chosen packages">${chips(chosen)}</ul>
<input type="hidden" name="packages" value="${chosen.packages.join(" ")}">
</section>
<fieldset id="words">
<legend>In front of them</legend>
${FRONT_WORDS.map(
  (
    word,
  ) => html`<label class="word"><input type="checkbox" name="word" value="${word}" aria-describedby="about-${word}"${isWord(word) && html` checked`}><span class="name">${word}</span> <span class="hint" id="about-${word}">${WORD_MEANINGS[word]}</span></label>
`,
)}</fieldset>
<div class="pair">
<label>Platform
<select id="platform" name="platform"><option value="">${platforms.map(platformName).join(", ")}</option>${ARCHITECTURES.map((each) => html`<option value="${each}"${chosen.architecture === each && html` selected`}>${platformName(each)} alone</option>`)}</select></label>
<label>Tag
<input id="tag" name="tag" value="${chosen.tag === "latest" ? "" : chosen.tag}" placeholder="latest" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="128"></label>
</div>
<div class="scripted">
<label for="present">Images you have already</label>
<input id="present" type="text" autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="shell/git shell/python3:nixos-25.11" aria-describedby="about-present">
<p class="hint" id="about-present">What they share with this one need not be fetched again.</p>
</div>
<button class="plain">Write the lines</button>
</form>`;
}

function image(host: string, chosen: Chosen): Html {
  const repository = repositoryOf(chosen);
  const page = repository === "" ? null : pagePath.image(repository, chosen.tag);
  const known = page && html`<p><a href="${page}">What is known of it</a></p>`;
  return html`<section class="image" aria-labelledby="image-title">
<h2 id="image-title">Your image</h2>
<p id="image-name" class="image-name">${imageName(host, chosen)}</p>
<div id="image-problem" role="alert">${problem(chosen)}</div>
<div id="image-facts" class="facts">${known}</div>
<p id="image-told" class="told-only" role="status"></p>
<div id="lines" class="lines">${lines({ host, repository, tag: chosen.tag, digest: null })}</div>
<p id="copied" class="aside" role="status"></p>
</section>`;
}

function explanation(host: string): Html {
  return html`<section class="rules" aria-labelledby="rules-title">
<h2 id="rules-title">How a name is read</h2>
<dl>
<div><dt><code>${host}/git</code></dt><dd>git, with certificates, at the newest revision of the package set</dd></div>
<div><dt><code>${host}/shell/git/htop</code></dt><dd>a shell besides; the order does not matter</dd></div>
<div><dt><code>${host}/python3/python3packages.numpy</code></dt><dd>a package inside of another set, in small letters</dd></div>
<div><dt><code>${host}/arm64/htop</code></dt><dd>for that platform</dd></div>
<div><dt><code>${host}/git:nixos-25.11</code></dt><dd>of that channel, branch or commit</dd></div>
</dl>
<p>What nobody has pulled before is built while the pull waits. The same packages give the same digest, wherever and whenever. A digest in place of a tag means the same bytes for ever.</p>
</section>`;
}
