// Why there is no image: what a pull is told, and of each package what is known besides, with the last lines
// of its builder's log.

import type { ImageFailed } from "../../registry/http/image-answer.ts";
import { type Content, type Html, html } from "./escape.ts";
import { timeOf, told, toldLines } from "./told.ts";

export function failureSection({ message, detail, mayPass, failedAtMs }: ImageFailed): Html {
  const title = mayPass ? "It could not be made" : "It cannot be had";
  return html`<section aria-labelledby="failed"><h2 id="failed">${title}</h2>
${failedAtMs === null ? html`<p>A pull is told now:</p>` : html`<p>A pull was told at ${timeOf(failedAtMs)}:</p>`}
${toldLines([message])}
${detail.map(detailItem)}
</section>`;
}

/** Of what the registry's `detail` may hold, whatever a program that is newer says besides. */
function detailItem(entry: unknown): Content {
  if (typeof entry !== "object" || entry === null) return null;
  const said = entry as Readonly<Record<string, unknown>>;
  const name = text(said.package);
  const log = texts(said.log);
  const near = texts(said.near);
  const derivation = text(said.derivation);
  if (name === undefined || (log.length === 0 && near.length === 0 && derivation === undefined)) {
    return null;
  }
  return html`<h3>${told(name)}</h3>
${derivation !== undefined && html`<p>What failed: <code>${told(derivation)}</code></p>`}
${near.length > 0 && html`<p>Perhaps meant: ${near.map((each, place) => [place > 0 && ", ", html`<code>${told(each)}</code>`])}</p>`}
${log.length > 0 && html`<p>The last lines of its log:</p>${toldLines(log)}`}
`;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
