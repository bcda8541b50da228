// The script of the page of an image: copying its lines, and how far it is while it is made.

import { type ProgressEvent, parseProgress } from "../../registry/http/progress.ts";
import { progressOf } from "../html/progress-view.ts";
import { copyFrom } from "./copying.ts";
import { show } from "./elements.ts";

document.documentElement.classList.add("with-scripts");

const copied = document.getElementById("copied");
if (copied !== null) copyFrom(document.body, copied);

const shown = document.getElementById("progress");
const address = shown?.dataset.progress;
if (shown !== null && address !== undefined) follow(shown, address);

/** Of what has ended the browser asks again by itself, as seldom as the stream has told it to. */
function follow(target: HTMLElement, from: string): void {
  const stream = new EventSource(from);
  const KINDS: readonly ProgressEvent["event"][] = ["stage", "done", "known", "failed", "idle"];
  for (const kind of KINDS) {
    stream.addEventListener(kind, ({ data }: MessageEvent<string>) => {
      const event = parseProgress(kind, data);
      if (event === undefined) return;
      show(target, progressOf(event));
      // It is asked for by whoever looks at it now: what there is to see is on the page itself.
      if (event.event === "done" || event.event === "known") stream.close();
    });
  }
}
