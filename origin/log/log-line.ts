// A line of the log as a person reads it: one line for each pull, builds by their stages, and of
// everything else what it is and why. What package sets and clients have written is in it, so nothing
// gets to a terminal but plain text.

import { styleText } from "node:util";
import { plainText } from "../../registry/failures/public-text.ts";
import { parseJson } from "../../registry/http/json.ts";
import { describeBytes, describeDuration } from "../words/quantities.ts";

export interface LineStyle {
  readonly colours: boolean;
  readonly isVerbose: boolean;
  /** For lines that do not say when they were written. */
  readonly now: () => number;
  readonly part?: string;
}

type Fields = Readonly<Record<string, unknown>>;
type Paint = (style: Parameters<typeof styleText>[0], text: string) => string;

/** One for each layer and process of Nix: these only help to find a fault. */
const FOR_FAULTS = new Set(["packed", "started", "ended", "asked"]);
/** Said elsewhere in a line. */
const NOT_LISTED = new Set(["level", "time", "msg", "event", "err", "cause"]);
const MAX_VALUE_CHARACTERS = 200;
const MAX_TEXT_CHARACTERS = 2000;
const MAX_STACK_LINES = 8;
const WARN_LEVEL = 40;
const ERROR_LEVEL = 50;
const LEVELS: Readonly<Record<string, number>> = { info: 30, warn: WARN_LEVEL, error: ERROR_LEVEL };

/** Undefined for what is not shown. Ends with a line's end. */
export function formatLine(json: string, style: LineStyle): string | undefined {
  const parsed = parseJson(json);
  // A runtime's own words: no line of ours, and shown as they are.
  if (!isFields(parsed)) return `${plainText(json).trimEnd()}\n`;
  const paint: Paint = (format, text) =>
    style.colours ? styleText(format, text, { validateStream: false }) : text;
  const event = oneLine(parsed.msg ?? parsed.event ?? "");
  const said = describe(parsed, event, style, paint);
  if (said === undefined) return undefined;
  const timeMs = typeof parsed.time === "number" ? parsed.time : style.now();
  const part = style.part === undefined ? "" : `${style.part} `;
  return `${paint("dim", `${timeOfDay(timeMs)} ${part}`)}${said}\n`;
}

function describe(
  fields: Fields,
  event: string,
  { isVerbose }: LineStyle,
  paint: Paint,
): string | undefined {
  switch (event) {
    case "answered":
      if ("image" in fields) return describePull(fields, paint);
      // Blobs, and what follows a pull by its digest: some dozen for each.
      if (!isVerbose && !isRefusal(fields)) return undefined;
      return describeRequest(fields, paint);
    case "under way":
      return `${nameOf(fields, paint)} ${paint("dim", oneLine(fields.said))}`;
    case "built after its request was answered":
      return describePull(fields, paint);
    case "backfilled":
      // Of what the edge had already.
      if (!isVerbose && fields.uploads === 0) return undefined;
      return describeEvent(fields, event, paint);
    default:
      if (!isVerbose && FOR_FAULTS.has(event)) return undefined;
      return describeEvent(fields, event, paint);
  }
}

function describePull(fields: Fields, paint: Paint): string {
  const variant = typeof fields.variant === "string" ? ` ${oneLine(fields.variant)}` : "";
  return `${nameOf(fields, paint)}${variant} ${describeAnswer(fields, paint)}`;
}

function nameOf({ image, tag }: Fields, paint: Paint): string {
  return paint("bold", `${oneLine(image)}:${oneLine(tag)}`);
}

function describeAnswer(fields: Fields, paint: Paint): string {
  const duration = typeof fields.ms === "number" ? describeDuration(fields.ms) : "";
  const message = severalLines(fields.message);
  const why = message === "" ? "" : `: ${message}`;
  switch (fields.answer) {
    case "remembered":
      return `${paint("cyan", "remembered")}${atTier(fields)}, ${duration}`;
    case "stale":
      return `${paint("yellow", "stale")}${atTier(fields)}, ${duration}${newBytes(fields, "")}`;
    case "made":
      return `${paint("green", "made")} in ${duration}${newBytes(fields, ", nothing new to pack")}`;
    case "still-under-way":
      return `${paint("yellow", "still under way")} after ${duration}${why}`;
    case "left":
      return `${paint("yellow", "left")} by its client after ${duration}`;
    default:
      return `${paint("red", "failed")} in ${duration}${statusOf(fields)}${why}`;
  }
}

function atTier({ tier }: Fields): string {
  return typeof tier === "string" ? ` (${oneLine(tier)})` : "";
}

function newBytes({ newBytes: bytes }: Fields, none: string): string {
  return typeof bytes === "number" && bytes > 0 ? `, ${describeBytes(bytes)} new` : none;
}

function statusOf({ status }: Fields): string {
  return typeof status === "number" ? `, ${status}` : "";
}

function isRefusal({ status }: Fields): boolean {
  return typeof status === "number" && status >= 400;
}

function describeRequest(fields: Fields, paint: Paint): string {
  const status = paint(isRefusal(fields) ? "red" : "dim", oneLine(fields.status));
  const message = severalLines(fields.message);
  const request = `${oneLine(fields.method)} ${oneLine(fields.path)} ${status}`;
  return message === "" ? request : `${request}: ${message}`;
}

function describeEvent(fields: Fields, event: string, paint: Paint): string {
  const level = levelOf(fields);
  const label =
    level >= ERROR_LEVEL
      ? paint("red", "error: ")
      : level >= WARN_LEVEL
        ? paint("yellow", "warning: ")
        : "";
  const cause = fields.err ?? fields.cause;
  const facts = Object.entries(fields)
    .filter(([name, value]) => !NOT_LISTED.has(name) && value !== undefined)
    .map(([name, value]) => describeFact(name, value));
  const why = [...facts, ...(cause === undefined ? [] : [severalLines(causes(cause))])].join(", ");
  const stack = level >= ERROR_LEVEL ? paint("dim", stackOf(cause)) : "";
  return `${label}${event}${why === "" ? "" : `: ${why}`}${stack}`;
}

function describeFact(name: string, value: unknown): string {
  const words = oneLine(name).replace(/(?:Ms|Bytes)$/, "");
  if (typeof value === "number" && name.endsWith("Ms"))
    return `${words} ${describeDuration(value)}`;
  if (name === "ms" && typeof value === "number") return describeDuration(value);
  if (typeof value === "number" && name.endsWith("Bytes"))
    return `${words} ${describeBytes(value)}`;
  return `${words} ${oneLine(value)}`;
}

/** `push failed: connect refused`: an error with what caused it, as far down as it goes. */
function causes(error: unknown): string {
  if (!isFields(error)) return String(error);
  const own = typeof error.message === "string" ? error.message : JSON.stringify(error);
  return error.cause === undefined ? own : `${own}: ${causes(error.cause)}`;
}

/** Where a bug is. */
function stackOf(error: unknown): string {
  if (!isFields(error) || typeof error.stack !== "string") return "";
  const frames = plainText(error.stack)
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .slice(0, MAX_STACK_LINES);
  return frames.map((frame) => `\n    ${oneLine(frame)}`).join("");
}

function levelOf({ level }: Fields): number {
  return typeof level === "number" ? level : (LEVELS[String(level)] ?? 0);
}

function oneLine(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  const plain = plainText(text).replace(/\s+/g, " ").trim();
  if (plain.length <= MAX_VALUE_CHARACTERS) return plain;
  return `${plain.slice(0, MAX_VALUE_CHARACTERS)}…`.toWellFormed();
}

/** The lines after the first are indented, so that none looks like a line of the log. */
function severalLines(value: unknown): string {
  if (typeof value !== "string") return "";
  const cut =
    value.length > MAX_TEXT_CHARACTERS ? `${value.slice(0, MAX_TEXT_CHARACTERS)}…` : value;
  return plainText(cut).trim().replace(/\t/g, " ").replace(/\n+/g, "\n    ");
}

function timeOfDay(timeMs: number): string {
  const time = new Date(timeMs);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
