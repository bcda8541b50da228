// The search box: a combobox with a listbox below it (ARIA Authoring Practices, "Editable Combobox With List
// Autocomplete"). What is chosen, and what is typed and taken as it is, goes to whoever made it.

import { html } from "../html/escape.ts";
import { plural } from "../html/quantities.ts";
import { results } from "../html/recipe-view.ts";
import type { Chosen } from "../recipe/chosen.ts";
import type { FoundPackage } from "../search/corpus.ts";
import { show } from "./elements.ts";

export interface SearchBox {
  /** What was found for what is typed now. */
  found(packages: readonly FoundPackage[], count: number): void;
  say(text: string): void;
}

export interface SearchBoxOptions {
  readonly input: HTMLInputElement;
  readonly list: HTMLElement;
  readonly status: HTMLElement;
  readonly chosen: () => Chosen;
  /** What is typed, whenever that has changed. */
  readonly onTyped: (text: string) => void;
  /** A name out of the list, or as it was typed. False where it is none. */
  readonly onName: (name: string) => boolean;
  readonly onRemoveLast: () => void;
}

const SAID_AFTER_MS = 400;

export function createSearchBox(options: SearchBoxOptions): SearchBox {
  const { input, list, status, chosen } = options;
  let active = -1;
  let count = 0;
  let saying: ReturnType<typeof setTimeout> | undefined;
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");

  const say = (text: string, afterMs = 0) => {
    clearTimeout(saying);
    // A screen reader that was told of every letter would never finish a sentence.
    saying = setTimeout(() => {
      status.textContent = text;
    }, afterMs);
  };
  const optionAt = (place: number) => list.children[place];
  const activate = (place: number) => {
    optionAt(active)?.setAttribute("aria-selected", "false");
    active = place;
    const option = optionAt(place);
    if (option === undefined) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
  };
  const open = (isOpen: boolean) => {
    list.hidden = !isOpen;
    input.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) activate(-1);
  };
  const clear = () => {
    input.value = "";
    count = 0;
    show(list, html``);
    open(false);
    options.onTyped("");
  };
  const take = (name: string) => {
    if (options.onName(name)) clear();
    input.focus();
  };
  const move = (step: number) => {
    if (count === 0) return;
    if (list.hidden) open(true);
    activate(active === -1 && step < 0 ? count - 1 : (active + step + count) % count);
  };

  const keys: Readonly<Record<string, (event: KeyboardEvent) => void>> = {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => {
      const option = optionAt(active);
      const name = option instanceof HTMLElement ? option.dataset.name : input.value.trim();
      if (name) take(name);
    },
    Escape: () => (list.hidden ? clear() : open(false)),
  };
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Backspace" && input.value === "") options.onRemoveLast();
    const act = keys[event.key];
    if (act === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act(event);
  });
  input.addEventListener("input", () => options.onTyped(input.value));
  input.addEventListener("focus", () => {
    if (count > 0) open(true);
  });
  input.addEventListener("blur", () => open(false));
  // Before the box loses the focus, which closes the list.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", ({ target }) => {
    const option = target instanceof Element ? target.closest<HTMLElement>("[data-name]") : null;
    if (option?.dataset.name) take(option.dataset.name);
  });

  return {
    found(packages, all) {
      count = packages.length;
      show(list, results(packages, chosen()));
      list.scrollTop = 0;
      open(count > 0);
      if (count > 0) activate(0);
      const [first] = packages;
      const told =
        first === undefined
          ? "No package found. Enter takes what is typed as a name."
          : `${plural(all, "package")}${all > count ? `, the best ${count} shown` : ""}.`;
      say(told, SAID_AFTER_MS);
    },
    say,
  };
}
