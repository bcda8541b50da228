// How far an image is, as its page shows it while it is made.

import type { Counted, ProgressEvent, StageKind, StageTold } from "../../registry/http/progress.ts";
import { type Content, type Html, html } from "./escape.ts";
import { countText, sizeText } from "./quantities.ts";
import { toldLines } from "./told.ts";

const STEPS: Readonly<Record<StageKind, string>> = {
  resolving: "Looking for the tag's revision",
  fetching: "Fetching the package set",
  "looking-up": "Looking the packages up",
  queued: "Waiting for other builds",
  realising: "Getting the packages",
  packing: "Packing layers",
  storing: "Storing layers",
  backfilling: "Giving the edge its layers",
};

/** Read to who does not see the page whenever it changes, so it has no number that goes on. */
export function stepOf(event: ProgressEvent): string {
  switch (event.event) {
    case "stage": {
      const { stage, running } = event.data;
      return running.length > 0 ? `Building ${running.join(", ")}` : STEPS[stage];
    }
    case "done":
    case "known":
      return "It is made";
    case "failed":
      return "It could not be made";
    case "idle":
      return "Nobody is pulling it now";
    default:
      return event satisfies never;
  }
}

/** What there is to see of it besides. */
export function progressOf(event: ProgressEvent): Html {
  switch (event.event) {
    case "stage":
      return stageOf(event.data);
    case "done":
    case "known":
      return html`<p>${event.data.edge === "not-yet" && "It is on its way to the edge. "}<a href="">Show it</a></p>`;
    case "failed":
      return html`${toldLines([event.data.message])}
${event.data.log.length > 0 && html`<p>The last lines of the log:</p>${toldLines(event.data.log)}`}`;
    case "idle":
      return html``;
    default:
      return event satisfies never;
  }
}

function stageOf({ counts, bytes }: StageTold): Html {
  return html`${counts !== null && bar("Done", counts, countText)}
${bytes !== null && bar("Bytes", bytes, sizeText)}`;
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
