// The page at `/`: what this registry is.

import type { AssetFiles } from "./assets.ts";
import { document } from "./document.ts";
import { type Html, html } from "./escape.ts";

export interface HomeFacts {
  readonly files: AssetFiles;
  /** As clients name the registry: host and port. */
  readonly host: string;
}

export function homePage({ files, host }: HomeFacts): Html {
  return document({
    title: "nixport",
    description: "A container registry in which the image name is the recipe",
    files,
    scripts: ["home.js"],
    content: html`<h1>The image name is the recipe</h1>
<pre><code>docker pull ${host}/shell/git/htop</code></pre>`,
  });
}
