// What a part of the benchmark reports, and how it is printed: tables of figures, and the bars that
// were set for some of them.

export type Cell = string | number | null;
/** Its keys are the columns; the first row's order is the table's. */
export type Row = Readonly<Record<string, Cell>>;

export interface Bar {
  readonly figure: string;
  readonly bar: string;
  /** Null where it could not be measured here; the section's notes say why. */
  readonly measured: number | null;
  readonly met: boolean | null;
}

export interface Section {
  readonly name: string;
  readonly title: string;
  readonly tables: readonly (readonly Row[])[];
  readonly bars: readonly Bar[];
  readonly notes: readonly string[];
}

export function bar(
  figure: string,
  measured: number | null | undefined,
  relation: "at least" | "at most",
  limit: number,
  unit = "",
): Bar {
  const value = measured ?? null;
  return {
    figure,
    bar: `${relation === "at least" ? ">=" : "<="} ${limit}${unit}`,
    measured: value,
    met: value === null ? null : relation === "at least" ? value >= limit : value <= limit,
  };
}

export function printSection({ name, title, tables, notes }: Section): string {
  const parts = [`== ${name}: ${title}`, ...tables.map(printTable)];
  if (notes.length > 0) parts.push(notes.map((note) => `- ${note}`).join("\n"));
  return `${parts.join("\n\n")}\n\n`;
}

export function printBars(sections: readonly Section[]): string {
  const rows = sections.flatMap(({ bars }) =>
    bars.map(({ figure, bar, measured, met }) => ({
      figure,
      bar,
      measured: measured ?? "not measured",
      met: met === null ? "-" : met ? "yes" : "NO",
    })),
  );
  return rows.length === 0 ? "" : `== bars\n\n${printTable(rows)}\n`;
}

export function printTable(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const isNumber = columns.map((column) => rows.every((row) => typeof row[column] !== "string"));
  const lines = [columns, ...rows.map((row) => columns.map((column) => printCell(row[column])))];
  const widths = columns.map((_, index) =>
    Math.max(...lines.map((line) => line[index]?.length ?? 0)),
  );
  const print = (line: readonly string[]) =>
    line
      .map((text, index) => {
        const width = widths[index] ?? 0;
        return isNumber[index] ? text.padStart(width) : text.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  const [head = [], ...body] = lines;
  return [print(head), rule, ...body.map(print)].join("\n");
}

/** Three digits say all that a shared machine lets one know. */
function printCell(cell: Cell | undefined): string {
  if (cell === null || cell === undefined) return "-";
  if (typeof cell === "string") return cell;
  if (Number.isInteger(cell)) return String(cell);
  const size = Math.abs(cell);
  return cell.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}
