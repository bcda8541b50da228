// The script of the page of an image: copying its lines, and how far it is while it is made.

import { type ProgressEvent, parseProgress } from "../../registry/http/progress.ts";
import { progressOf, stepOf } from "../html/progress-view.ts";
import { copyFrom } from "./copying.ts";
import { element, show } from "./elements.ts";

document.documentElement.classList.add("with-scripts");

const copied = document.getElementById("copied");
if (copied !== null) copyFrom(document.body, copied);

const address = document.getElementById("progress")?.dataset.progress;
if (address !== undefined) follow(address);

/** Of what has ended the browser asks again by itself, as seldom as the stream has told it to. */
function follow(from: string): void {
  const step = element("progress-step", HTMLElement);
  const shown = element("progress-shown", HTMLElement);
  const stream = new EventSource(from);
  const KINDS: readonly ProgressEvent["event"][] = ["stage", "done", "known", "failed", "idle"];
  for (const kind of KINDS) {
    stream.addEventListener(kind, ({ data }: MessageEvent<string>) => {
      const event = parseProgress(kind, data);
      if (event === undefined) return;
      const next = stepOf(event);
      if (step.textContent !== next) step.textContent = next;
      show(shown, progressOf(event));
      // It is asked for by whoever looks at it now: what there is to see is on the page itself.
      if (event.event === "done" || event.event === "known") stream.close();
    });
  }
}
