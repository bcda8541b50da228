// How pages write what others have said, and sizes, times, bars and tables of it.

import { type Content, type Html, html } from "./escape.ts";
import { sizeText } from "./quantities.ts";

/**
 * Text of packages, builders or clients in the middle of ours: whichever way it runs, what stands around it stays
 * where it is.
 */
export function told(text: string): Html {
  return html`<bdi>${text}</bdi>`;
}

/** Lines of a builder's log or of a message, each by itself. */
export function toldLines(lines: readonly string[]): Html {
  const shown = lines.flatMap((line) => line.split("\n"));
  return html`<pre class="told">${shown.map((line, place) => [place > 0 && "\n", told(line)])}</pre>`;
}

/** A size that is to be read beside others, with the exact one for who wants it. */
export function sizeOf(bytes: number): Html {
  return html`<data value="${bytes}" title="${bytes} bytes">${sizeText(bytes)}</data>`;
}

/** To the minute, in UTC; nothing of what is no time. */
export function timeOf(ms: number): Html {
  const time = new Date(ms);
  if (Number.isNaN(time.getTime())) return html`at an unknown time`;
  const iso = time.toISOString();
  const shown = `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
  return html`<time datetime="${iso.slice(0, 19)}Z">${shown}</time>`;
}

const BAR_WIDTH = 100;

/** So much of a whole; a decoration, since it stands beside it in words. */
export function barOf(part: number): Html {
  const width = (BAR_WIDTH * Math.min(1, Math.max(0, part))).toFixed(2);
  return html`<svg class="bar" viewBox="0 0 ${BAR_WIDTH} 4" preserveAspectRatio="none" aria-hidden="true"><rect class="all" width="${BAR_WIDTH}" height="4"/><rect class="part" width="${width}" height="4"/></svg>`;
}

/** A table that scrolls by itself where a phone is too narrow for it, also by keyboard. */
export function wideTable(label: string, table: Content): Html {
  return html`<div class="wide" role="group" aria-label="${label}" tabindex="0"><table>${table}</table></div>`;
}
