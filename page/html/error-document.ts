// What a person is shown where there is no page.

import { pagePath } from "../../registry/http/page-route.ts";
import type { AssetFiles } from "./assets.ts";
import { document } from "./document.ts";
import { type Html, html } from "./escape.ts";

export interface ErrorFacts {
  readonly status: number;
  /** As the registry says it to clients. */
  readonly message: string;
  readonly files: AssetFiles;
}

export function errorDocument({ status, message, files }: ErrorFacts): Html {
  const title = titleOf(status);
  return document({
    ...{ title: `${title} · nixport`, description: title, files },
    content: html`<h1>${title}</h1>
<p class="reason">${message}</p>
<p><a href="${pagePath.home}">Find packages and make an image of them</a></p>`,
  });
}

function titleOf(status: number): string {
  switch (status) {
    case 400:
      return "No such name";
    case 401:
    case 403:
      return "Not for everybody";
    case 404:
      return "Nothing here";
    case 405:
      return "Pages are only read";
    case 429:
      return "Too many at once";
    case 503:
      return "Not now";
    default:
      return "Something went wrong";
  }
}
