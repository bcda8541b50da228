// The frame of every page: head, masthead, what a page has of its own, and foot.

import { pagePath } from "../../registry/http/page-route.ts";
import { type AssetFiles, type AssetName, assetPath } from "./assets.ts";
import { type Content, type Html, html } from "./escape.ts";

export interface Page {
  readonly title: string;
  readonly description: string;
  readonly files: AssetFiles;
  /** Run once the page is read. */
  readonly scripts?: readonly AssetName[];
  readonly content: Content;
}

export function document({ title, description, files, scripts = [], content }: Page): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="${description}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="${assetPath(files, "icon.svg")}" type="image/svg+xml">
<link rel="stylesheet" href="${assetPath(files, "style.css")}">
${scripts.map((name) => html`<script src="${assetPath(files, name)}" defer></script>\n`)}</head>
<body>
<a class="skip" href="#content">To the content</a>
<header class="masthead"><a href="${pagePath.home}">nixport</a></header>
<main id="content">
${content}
</main>
</body>
</html>
`;
}
