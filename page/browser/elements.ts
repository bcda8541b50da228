// Finding what a page has, and showing markup in it: the only place where the scripts give markup to the
// browser, and only such as the templates have made.

import type { Html } from "../html/escape.ts";

export function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no #${id}`);
  return found;
}

export function show(target: HTMLElement, { markup }: Html): void {
  if (target.innerHTML !== markup) target.innerHTML = markup;
}
