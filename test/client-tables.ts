// The tables of clients that the pages show, made of the table that the code has and of what clients
// were seen to get. Tests compare them with the pages, or write them there where
// `NIXPORT_WRITE_TABLES=1` says so.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ANYTHING_ELSE, CLIENTS, type Client } from "../registry/http/clients.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
export const WRITES_TABLES = process.env.NIXPORT_WRITE_TABLES === "1";

/** The lines between two remarks that no reader of the page sees. */
const tablePattern = (name: string) =>
  new RegExp(`(?<=<!-- ${name}: [^\\n]* -->\\n\\n)[\\s\\S]*?(?=\\n\\n<!-- end -->)`);

export function readTable(page: string, name: string): string {
  const [table] = tablePattern(name).exec(readFileSync(`${ROOT}${page}`, "utf8")) ?? [];
  if (table === undefined) throw new Error(`${page} has no place for the table ${name}`);
  return table;
}

export function writeTable(page: string, name: string, table: string): void {
  const text = readFileSync(`${ROOT}${page}`, "utf8");
  writeFileSync(
    `${ROOT}${page}`,
    text.replace(tablePattern(name), () => table),
  );
}

export function markdownTable(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows.map((row) => `| ${row.join(" | ")} |`);
  return [head, `|${"---|".repeat(rows[0]?.length ?? 0)}`, ...body].join("\n");
}

/** Of the code's table, row by row. */
export function clientTable(): string {
  const rows = CLIENTS.map((row, index) => [
    row.client,
    versionsOf(row, laterThan(row, index)),
    formOf(row),
    waitOf(row),
    row.seen,
    row.tried,
  ]);
  const head = ["client", "version", "layers", "waits for headers", "seen or known", "tried"];
  const { client, seen, tried } = ANYTHING_ELSE;
  return markdownTable([
    head,
    ...rows,
    [client, "", formOf(ANYTHING_ELSE), waitOf(ANYTHING_ELSE), seen, tried],
  ]);
}

const laterThan = ({ client }: Client, index: number) =>
  CLIENTS.slice(0, index).findLast((row) => row.client === client);

function versionsOf({ from }: Client, later: Client | undefined): string {
  const before = later === undefined ? "" : `before ${later.from}`;
  if (from === undefined) return before;
  return before === "" ? `from ${from}` : `${from}, ${before}`;
}

function formOf({ zstdFrom, from }: Client): string {
  if (zstdFrom === null) return "gzip";
  const isAll = from !== undefined && Number(from) >= Number(zstdFrom);
  return isAll ? "zstd" : `zstd from ${zstdFrom}, else gzip`;
}

function waitOf({ headersWaitSeconds, asksAgain }: Client): string {
  const waits = headersWaitSeconds === null ? "as long as it takes" : `${headersWaitSeconds} s`;
  const again = asksAgain.map(({ status, times }) => `${status} ×${times}`);
  return again.length === 0 ? waits : `${waits}; asks again after ${again.join(", ")}`;
}
