// The doctor's findings as one page, and as the lines that a start prints of what has failed.

import { styleText } from "node:util";
import { plainText } from "../../registry/failures/public-text.ts";
import { type Finding, GROUPS, type State } from "./finding.ts";

const HEADINGS: Readonly<Record<Finding["group"], string>> = {
  configuration: "Configuration",
  nix: "Nix",
  source: "Source",
  caches: "Caches",
  storage: "Storage",
  edge: "Edge",
  limits: "Limits",
};
const WORDS: Readonly<Record<State, string>> = {
  ok: "ok",
  warning: "warning",
  failed: "failed",
  "not-checked": "not checked",
};
const COLOURS = { ok: "green", warning: "yellow", failed: "red", "not-checked": "dim" } as const;
const STATE_WIDTH = 12;
const CHECK_WIDTH = 12;
const MAX_CHARACTERS = 500;

export function formatPage(findings: readonly Finding[], colours: boolean): string {
  const paint = (format: Parameters<typeof styleText>[0], text: string) =>
    colours ? styleText(format, text, { validateStream: false }) : text;
  const lines: string[] = [];
  for (const group of GROUPS) {
    const own = findings.filter((finding) => finding.group === group);
    if (own.length === 0) continue;
    lines.push(paint("bold", HEADINGS[group]));
    for (const { state, check, about, saw, toDo } of own) {
      const word = paint(COLOURS[state], WORDS[state].padEnd(STATE_WIDTH));
      const what = about === null ? saw : `${about}: ${saw}`;
      lines.push(`  ${word}${check.padEnd(CHECK_WIDTH)}${oneLine(what)}`);
      if (toDo !== null) lines.push(`${" ".repeat(2 + STATE_WIDTH)}→ ${oneLine(toDo)}`);
    }
    lines.push("");
  }
  return `${lines.join("\n")}\n${summary(findings)}\n`;
}

function summary(findings: readonly Finding[]): string {
  const count = (state: State) => findings.filter((finding) => finding.state === state).length;
  const states = ["failed", "warning", "ok", "not-checked"] as const;
  return states.map((state) => `${count(state)} ${WORDS[state]}`).join(", ");
}

/** For those who have not asked for a page. */
export function formatFailed({ group, check, about, saw, toDo }: Finding): string {
  const what = about === null ? saw : `${about}: ${saw}`;
  return `failed: ${group} ${check}: ${oneLine(what)}${toDo === null ? "" : ` → ${oneLine(toDo)}`}`;
}

function oneLine(text: string): string {
  const plain = plainText(text).replace(/\s+/g, " ").trim();
  return plain.length > MAX_CHARACTERS
    ? `${plain.slice(0, MAX_CHARACTERS)}…`.toWellFormed()
    : plain;
}
