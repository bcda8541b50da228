// What was checked of a deployment, for people: a line for each check, and how many went wrong.

import { plainText } from "../../registry/failures/public-text.ts";
import type { Checked, Outcome } from "./smoke.ts";

const CHECK_WIDTH = 16;
const OUTCOME_WIDTH = 13;
const MS_WIDTH = 9;
const MAX_CHARACTERS = 500;

export function formatChecked({ check, outcome, ms, saw }: Checked): string {
  const columns = [
    outcome.padEnd(OUTCOME_WIDTH),
    check.padEnd(CHECK_WIDTH),
    `${ms} ms`.padStart(MS_WIDTH),
  ];
  return `${columns.join("")}  ${plainText(saw).replace(/\s+/g, " ").slice(0, MAX_CHARACTERS)}\n`;
}

export function summary(all: readonly Checked[]): string {
  const outcomes: readonly Outcome[] = ["failed", "ok", "not checked"];
  const count = (outcome: Outcome) => all.filter((each) => each.outcome === outcome).length;
  return `${outcomes.map((outcome) => `${count(outcome)} ${outcome}`).join(", ")}\n`;
}
