// How pages write what others have said, sizes and times.

import { type Content, type Html, html } from "./escape.ts";

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

/** `812 B`, `3.4 kB`, `117 MB`: three digits, as registries and clients count. */
export function describeSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = bytes;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return `${size.toFixed(digits)} ${units[unit]}`;
}

/** A size that is to be read beside others, with the exact one for who wants it. */
export function sizeOf(bytes: number): Html {
  return html`<data value="${bytes}" title="${bytes} bytes">${describeSize(bytes)}</data>`;
}

/** To the minute, in UTC; nothing of what is no time. */
export function timeOf(ms: number): Html {
  const time = new Date(ms);
  if (Number.isNaN(time.getTime())) return html`at an unknown time`;
  const iso = time.toISOString();
  const shown = `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
  return html`<time datetime="${iso.slice(0, 19)}Z">${shown}</time>`;
}

/** `1 layer`, `17 layers`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** A table that scrolls by itself where a phone is too narrow for it, also by keyboard. */
export function wideTable(label: string, table: Content): Html {
  return html`<div class="wide" role="region" aria-label="${label}" tabindex="0"><table>${table}</table></div>`;
}
