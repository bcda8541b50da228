// What a collection did, or would do, as a person reads it.

import { describeBytes } from "../words/quantities.ts";
import type { Collected, CollectedValues, Counted } from "./collect.ts";

export function formatCollected(collected: Collected, isDryRun: boolean): string {
  const { collections, images, bytes } = collected;
  const rows = Object.entries(collections)
    .filter(([, each]) => Object.values(each).some(({ values }) => values > 0))
    .map(([name, each]) => row(name, each));
  const head = ["", "kept", isDryRun ? "would go" : "gone", "for want of room"];
  const said = [
    `images: ${images.kept} kept`,
    `${images.old} not pulled for long`,
    ...(images.overLimit > 0 ? [`${images.overLimit} dropped for want of room`] : []),
  ];
  const { before, after } = bytes;
  const total = `${describeBytes(before)} stored, ${describeBytes(after)} ${isDryRun ? "would be left" : "left"}`;
  const lines = [said.join(", "), ...table([head, ...rows]), total, ...atEdge(collected, isDryRun)];
  return `${lines.join("\n")}\n`;
}

function atEdge({ edge }: Collected, isDryRun: boolean): readonly string[] {
  if (edge === null) return [];
  if ("notTold" in edge) return [`edge: ${edge.notTold}`];
  const counts = Object.entries(edge.folders).map(([folder, each]) => `${folder} ${cell(each)}`);
  const what = isDryRun ? "would go" : "gone";
  return [`edge: ${counts.length === 0 ? "nothing" : counts.join(", ")} ${what}`];
}

function row(name: string, { kept, unneeded, overLimit }: CollectedValues): readonly string[] {
  return [name, cell(kept), cell(unneeded), cell(overLimit)];
}

function cell({ values, bytes }: Counted): string {
  return values === 0 ? "-" : `${values} (${describeBytes(bytes)})`;
}

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, place) =>
    Math.max(...rows.map((each) => each[place]?.length ?? 0)),
  );
  return rows.map((each) =>
    each
      .map((text, place) =>
        place === 0 ? text.padEnd(widths[place] ?? 0) : text.padStart(widths[place] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}
