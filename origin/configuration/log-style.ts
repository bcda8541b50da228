// How a log is written, as the environment says it: at the origin and at a local edge alike.

import type { LogStyle } from "../log/log.ts";
import type { Variables } from "./variables.ts";

const LEVELS = ["debug", "info", "warn", "error", "silent"];

export function readLogStyle({ text, problem }: Variables): LogStyle {
  const level = text("NIXPORT_LOG_LEVEL") ?? "info";
  if (!LEVELS.includes(level)) {
    problem(`NIXPORT_LOG_LEVEL is ${JSON.stringify(level)}: one of ${LEVELS.join(", ")}`);
  }
  const format = text("NIXPORT_LOG_FORMAT") ?? null;
  const style = { level, colours: readColours(text) };
  if (format === null || format === "text" || format === "json") return { ...style, format };
  problem(`NIXPORT_LOG_FORMAT is ${JSON.stringify(format)}: text or json`);
  return { ...style, format: null };
}

/** As Node and most programs take these: FORCE_COLOR goes before NO_COLOR. */
function readColours(text: Variables["text"]): boolean | null {
  const forced = text("FORCE_COLOR");
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  if (text("NO_COLOR") !== undefined || text("TERM") === "dumb") return false;
  return null;
}
