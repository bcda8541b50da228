// What the origin writes about itself on standard error: pino's JSON lines, or lines for people. Each
// process decides by its own standard error, which those that npm start has started share with it.

import { type Logger, pino } from "pino";
import { formatLine } from "./log-line.ts";

export type Log = Pick<Logger, "debug" | "info" | "warn" | "error">;

/** How it is written. */
export interface LogStyle {
  readonly level: string;
  /** Lines for people or for programs; null: for people where they are written to a terminal. */
  readonly format: "text" | "json" | null;
  /** Null: where lines for people are written to a terminal. */
  readonly colours: boolean | null;
}

export type WriteLine = (line: string) => void;

export function createLog(style: LogStyle): Log {
  const standardError = pino.destination({ fd: 2, sync: true });
  const write = lineWriter(style, process.stderr.isTTY === true, {
    write: (line) => void standardError.write(line),
    isVerbose: style.level === "debug",
  });
  return pino({ level: style.level, base: null }, { write });
}

export interface LineWriterOptions {
  readonly write: WriteLine;
  /** Shows what only helps to find a fault. */
  readonly isVerbose?: boolean;
  /** Which part of nixport writes, where that is not the origin. */
  readonly part?: string;
}

/** Takes lines of JSON; writes them as they are, or as people read them. */
export function lineWriter(
  style: LogStyle,
  isTerminal: boolean,
  { write, isVerbose = false, part }: LineWriterOptions,
): WriteLine {
  const format = style.format ?? (isTerminal ? "text" : "json");
  if (format === "json") return write;
  const colours = style.colours ?? isTerminal;
  return (line) => {
    const text = formatLine(line, { colours, isVerbose, now: Date.now, ...(part && { part }) });
    if (text !== undefined) write(text);
  };
}
