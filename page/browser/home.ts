// The script of the page at `/`: what is chosen, in one place, and everything that shows it.

import { pagePath } from "../../registry/http/page-route.ts";
import { ARCHITECTURES } from "../../registry/naming/recipe.ts";
import { LATEST, parseTag } from "../../registry/naming/reference.ts";
import { html } from "../html/escape.ts";
import { plural } from "../html/quantities.ts";
import {
  chips,
  imageFacts,
  imageName,
  imageSentence,
  lines,
  problem,
} from "../html/recipe-view.ts";
import {
  type Chosen,
  FRONT_WORDS,
  NOTHING,
  problemOf,
  queryOf,
  readName,
  readQuery,
  repositoryOf,
  TAG_REASON,
  withName,
} from "../recipe/chosen.ts";
import { copyFrom } from "./copying.ts";
import { element, show } from "./elements.ts";
import { watchImage } from "./image-watch.ts";
import { createSearchBox } from "./search-box.ts";
import { type Readiness, startSearching } from "./searching.ts";

const workbench = element("workbench", HTMLElement);
const host = workbench.dataset.host ?? location.host;
const input = element("search", HTMLInputElement);
const form = element("recipe", HTMLFormElement);
const present = element("present", HTMLInputElement);
const platform = element("platform", HTMLSelectElement);
const tag = element("tag", HTMLInputElement);
const linesBox = element("lines", HTMLElement);

document.documentElement.classList.add("with-scripts");

const read = readQuery(new URLSearchParams(location.search));
let chosen: Chosen = read?.kind === "chosen" ? read.chosen : NOTHING;

const watch = watchImage((view) => {
  show(element("image-facts", HTMLElement), imageFacts(view));
  element("image-told", HTMLElement).textContent = imageSentence(view);
  const digest = view.state?.kind === "known" ? view.state.digest : null;
  showLines(digest);
});

const box = createSearchBox({
  ...{ input, list: element("results", HTMLElement) },
  status: element("search-status", HTMLElement),
  chosen: () => chosen,
  onTyped(text) {
    if (text.trim() === "") {
      box.found([], 0);
      box.say(hint);
    } else if (isReady) searching.search(text);
  },
  onName(text) {
    // In capitals no name is one, and every package is found by small letters.
    const typed = readName(text.trim().replace(/^[^:]*/, namesIn));
    if (typed.kind === "invalid") {
      box.say(typed.reason);
      return false;
    }
    choose(withName(chosen, typed.chosen));
    return true;
  },
  onRemoveLast() {
    choose({ ...chosen, packages: chosen.packages.slice(0, -1) });
  },
});

let isReady = false;
let hint = "Names of packages, and Enter.";
const searching = startSearching({
  script: workbench.dataset.search ?? "",
  onReadiness(readiness) {
    isReady = readiness.kind === "ready";
    hint = hintOf(readiness);
    box.say(hint);
    if (readiness.kind === "refused") showLogin();
    if (isReady && input.value.trim() !== "") searching.search(input.value);
  },
  onFound({ query, packages, count }) {
    if (query === input.value && document.activeElement === input) box.found(packages, count);
  },
});

function namesIn(text: string): string {
  return text.toLowerCase().replaceAll(/[\s,]+/g, "/");
}

function hintOf(readiness: Readiness): string {
  switch (readiness.kind) {
    case "ready":
      return `Search ${plural(readiness.count, "package")} by name, program or what they do.`;
    case "none":
      return "There is no index of the package set yet, so nothing can be searched: type names, and Enter.";
    case "refused":
      return "Searching is for those who log in. Names can be typed: Enter takes them.";
    case "failed":
      return "The index could not be loaded: type names, and Enter.";
    default:
      return readiness satisfies never;
  }
}

function showLogin(): void {
  const link = html`<a href="${`${pagePath.home}?login`}">Log in</a>`;
  show(element("login", HTMLElement), link);
}

/** The one way in which anything changes. */
function choose(next: Chosen): void {
  chosen = next;
  history.replaceState(null, "", pagePath.home + queryOf(chosen));
  draw();
}

function draw(): void {
  show(element("chosen", HTMLElement), chips(chosen));
  show(element("image-name", HTMLElement), imageName(host, chosen));
  show(element("image-problem", HTMLElement), problem(chosen));
  for (const box of form.querySelectorAll<HTMLInputElement>("input[name=word]")) {
    box.checked = chosen.words.some((word) => word === box.value);
  }
  platform.value = chosen.architecture ?? "";
  if (document.activeElement !== tag) tag.value = chosen.tag === LATEST ? "" : chosen.tag;
  const isImage = repositoryOf(chosen) !== "" && problemOf(chosen) === undefined;
  showLines(null);
  if (isImage) watch.look(chosen, present.value);
  else show(element("image-facts", HTMLElement), html``);
}

function showLines(digest: Parameters<typeof lines>[0]["digest"]): void {
  const repository = repositoryOf(chosen);
  show(linesBox, repository === "" ? html`` : lines({ host, repository, tag: chosen.tag, digest }));
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", ({ target }) => {
  if (target === platform) {
    const architecture = ARCHITECTURES.find((each) => each === platform.value) ?? null;
    choose({ ...chosen, architecture });
  }
  if (target instanceof HTMLInputElement && target.name === "word") {
    const on = [...form.querySelectorAll<HTMLInputElement>("input[name=word]:checked")];
    const words = FRONT_WORDS.filter((word) => on.some(({ value }) => value === word));
    choose({ ...chosen, words });
  }
});
tag.addEventListener("input", () => {
  const text = tag.value.trim();
  const parsed = text === "" ? LATEST : parseTag(text);
  tag.setCustomValidity(parsed === undefined ? TAG_REASON : "");
  tag.reportValidity();
  if (parsed !== undefined) choose({ ...chosen, tag: parsed });
});
present.addEventListener("input", draw);
element("chosen", HTMLElement).addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const name = link?.dataset.remove;
  if (name === undefined) return;
  event.preventDefault();
  choose({ ...chosen, packages: chosen.packages.filter((each) => each !== name) });
  input.focus();
});
copyFrom(linesBox, element("copied", HTMLElement));
draw();
