// Markup as a value of its own: the only way to make it is the template below, which writes whatever is put
// into it as text. So a description, a name or a log can hold anything.

declare const htmlBrand: unique symbol;
/** Markup of ours, with everything else in it escaped. */
export interface Html {
  readonly [htmlBrand]: "Html";
  readonly markup: string;
}

/** What a template takes: text in any number, markup, lists of either, and nothing for what is not there. */
export type Content = Html | string | number | null | undefined | false | readonly Content[];

class Markup {
  declare readonly [htmlBrand]: "Html";
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

/** Values of attributes stand in double quotes: `<a href="${address}">`. */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Html {
  const markup = parts.reduce((all, part, place) => all + markupOf(contents[place - 1]) + part);
  return new Markup(markup);
}

function markupOf(content: Content): string {
  if (content instanceof Markup) return content.markup;
  if (content === null || content === undefined || content === false) return "";
  if (Array.isArray(content)) return content.map(markupOf).join("");
  return escapeText(String(content));
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
/**
 * Besides what begins markup: control characters, which no document may hold, and those that turn the direction
 * of what follows them, by which a text could show others in another order.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSHOWN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

function escapeText(text: string): string {
  return text
    .toWellFormed()
    .replace(UNSHOWN, "\ufffd")
    .replace(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
}
