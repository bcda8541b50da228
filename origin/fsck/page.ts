// What a check found, as a person reads it.

import { describeBytes } from "../words/quantities.ts";
import type { Checked, Finding } from "./finding.ts";

/** Findings of a kind that are named; `--json` has all. */
const MAX_NAMED = 50;

export function formatChecked(side: string, checked: Checked): string {
  const { collections, findings, orphans, strangers, withoutChecksum } = checked;
  const counts = Object.entries(collections)
    .filter(([, { values }]) => values > 0)
    .map(
      ([name, { values, bytes }]) =>
        `  ${name.padEnd(12)}${String(values).padStart(8)}  ${describeBytes(bytes)}`,
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
      return `  incomplete: ${finding.key} names ${first}${others}`;
    }
    default:
      return finding satisfies never;
  }
}
