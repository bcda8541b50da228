// How far an image is, as its page shows it while it is made.

import type { Counted, ProgressEvent, StageTold } from "../../registry/http/progress.ts";
import { type Content, type Html, html } from "./escape.ts";
import { countText, sizeText } from "./quantities.ts";
import { told, toldLines } from "./told.ts";

export function progressOf(event: ProgressEvent): Html {
  switch (event.event) {
    case "stage":
      return stageOf(event.data);
    case "done":
    case "known":
      return html`<p>It is made${event.data.edge === "not-yet" && ", and on its way to the edge"}. <a href="">Show it</a></p>`;
    case "failed":
      return html`<p class="problem">It could not be made:</p>
${toldLines([event.data.message])}
${event.data.log.length > 0 && html`<p>The last lines of the log:</p>${toldLines(event.data.log)}`}`;
    case "idle":
      return html`<p>Nobody is pulling it now.</p>`;
    default:
      return event satisfies never;
  }
}

function stageOf({ said, counts, bytes, running }: StageTold): Html {
  return html`<p>${told(said)}</p>
${counts !== null && bar("Done", counts, countText)}
${bytes !== null && bar("Bytes", bytes, sizeText)}
${running.length > 0 && html`<p>Running: ${running.map((name, place) => [place > 0 && ", ", told(name)])}</p>`}`;
}

/** Without an end where nobody knows one. */
function bar(
  label: string,
  { done, expected }: Counted,
  textOf: (count: number) => string,
): Content {
  if (expected <= 0) return html`<p>${label}: ${textOf(done)}</p>`;
  const shown = Math.min(done, expected);
  return html`<p><label>${label}: ${textOf(done)} of ${textOf(expected)} <progress max="${expected}" value="${shown}"></progress></label></p>`;
}
