// NIXPORT_ZSTD: for whom the smaller form is, at the origin and at a local edge.

import { parseZstdUse, ZSTD_USES, type ZstdUse } from "../../registry/http/negotiation.ts";
import type { Variables } from "./variables.ts";

export function readZstdUse({ text, problem }: Variables): ZstdUse | undefined {
  const value = text("NIXPORT_ZSTD");
  const hint = `one of ${ZSTD_USES.join(", ")}`;
  return parseZstdUse(value) ?? problem(`NIXPORT_ZSTD is ${JSON.stringify(value)}: ${hint}`);
}
