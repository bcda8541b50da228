// Durations and sizes as people read them, and as they write them.

import { describeAge } from "../../registry/http/warning.ts";

export function describeDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : describeAge(ms);
}

export function describeBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1000)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `30d`, `12h`, `90m`, `5s`; 0 needs no unit. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? [];
  if (count === undefined) return undefined;
  if (unit === "") return Number(count) === 0 ? 0 : undefined;
  return Number(count) * (UNITS_MS[unit] ?? 0);
}

const PREFIXES = ["", "k", "M", "G", "T"];

/** `50GB`, `10GiB`, or bytes alone. */
export function parseByteCount(text: string): number | undefined {
  const [, count, prefix = "", binary] = /^(\d{1,15})(?:([kMGT]?)(i?)B)?$/.exec(text) ?? [];
  const power = PREFIXES.indexOf(prefix);
  const bytes = Number(count) * (binary === "i" ? 1024 : 1000) ** power;
  return count !== undefined && Number.isSafeInteger(bytes) ? bytes : undefined;
}
