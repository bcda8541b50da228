// What a check found, as a person reads it.

import { describeBytes } from "../words/quantities.ts";
import type { Checked, Finding, Repair, Repaired } from "./finding.ts";
import type { Looked, NotLooked } from "./look.ts";

/** Findings of a kind that are named; `--json` has all. */
const MAX_NAMED = 50;

export interface FsckReport {
  readonly origin: Looked | null;
  readonly edge: Looked | NotLooked | null;
}

export function formatReport({ origin, edge }: FsckReport): string {
  return [
    origin === null ? "" : formatLooked("origin", origin),
    edge === null ? "" : "notTold" in edge ? `edge: ${edge.notTold}\n` : formatLooked("edge", edge),
  ].join("");
}

/** Why the command fails; null where nothing is wrong any more. */
export function problemOf({ origin, edge }: FsckReport): string | null {
  const sides = [origin, edge].filter((side) => side !== null);
  const count = sides
    .flatMap((side) => ("notTold" in side ? [] : [side.repair ?? side]))
    .reduce((sum, { findings }) => sum + findings.length, 0);
  if (count > 0) return `${count} ${count === 1 ? "value is" : "values are"} wrong`;
  const isMissed = edge !== null && "notTold" in edge && edge.isAssumed !== true;
  return isMissed ? "the edge was not checked" : null;
}

function formatLooked(side: string, looked: Looked): string {
  const { repair } = looked;
  return formatChecked(side, looked) + (repair === undefined ? "" : formatRepaired(repair));
}

function formatChecked(side: string, checked: Checked): string {
  const { collections, findings, orphans, strangers, withoutChecksum } = checked;
  const counts = Object.entries(collections)
    .filter(([, { values }]) => values > 0)
    .map(
      ([name, { values, bytes }]) =>
        `  ${name.padEnd(14)}${String(values).padStart(8)}  ${describeBytes(bytes)}`,
    );
  const notes = [
    ...Object.entries(orphans)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `  ${count} ${name} that nothing names`),
    ...(strangers > 0 ? [`  ${strangers} of names that are no keys`] : []),
    ...(withoutChecksum > 0
      ? [`  ${withoutChecksum} without a checksum, of an earlier version`]
      : []),
  ];
  const said = findings.length === 0 ? "nothing is wrong" : `${findings.length} wrong`;
  return `${[`${side}: ${said}`, ...counts, ...notes, ...named(findings)].join("\n")}\n`;
}

function formatRepaired({ repairs, findings }: Repaired): string {
  const lines = [...Map.groupBy(repairs, ({ kind }) => kind)].flatMap(([kind, group]) => [
    ...group.slice(0, MAX_NAMED).map(({ key }) => `  ${WORDS[kind]}: ${key}`),
    ...(group.length > MAX_NAMED ? [`  and ${group.length - MAX_NAMED} more`] : []),
  ]);
  const said = findings.length === 0 ? "nothing is wrong any more" : "still wrong:";
  return `${[`repaired: ${said}`, ...lines, ...named(findings)].join("\n")}\n`;
}

const WORDS: Readonly<Record<Repair["kind"], string>> = {
  "made-again": "made again",
  gone: "gone",
};

function named(findings: readonly Finding[]): readonly string[] {
  return [...Map.groupBy(findings, ({ kind }) => kind).values()].flatMap((group) => [
    ...group.slice(0, MAX_NAMED).map(line),
    ...(group.length > MAX_NAMED ? [`  and ${group.length - MAX_NAMED} more`] : []),
  ]);
}

function line(finding: Finding): string {
  switch (finding.kind) {
    case "damaged":
      return `  damaged: ${finding.key}`;
    case "incomplete": {
      const [first = "", ...more] = finding.missing;
      const others = more.length === 0 ? "" : ` and ${more.length} more`;
      const what = first.startsWith("/") ? `a record of ${first}` : first;
      return `  incomplete: ${finding.key} names ${what}${others}`;
    }
    default:
      return finding satisfies never;
  }
}
