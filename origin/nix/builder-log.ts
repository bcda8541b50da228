// The lines of a builder's log as people read them. What Nix builds by itself, such as
// `builtin:fetchurl`, writes its events into the log in Nix's own format.

import * as v from "valibot";
import { parseJson } from "../../registry/http/json.ts";

const EVENT = /^\s*@nix (?=\{)/;
const message = v.object({ action: v.literal("msg"), msg: v.string() });

/** Of Nix's events only messages say something; the rest is progress. */
export function builderLog(lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => {
    const mark = EVENT.exec(line)?.[0];
    if (mark === undefined) return line.trim() === "" ? [] : [line];
    const event = v.safeParse(message, parseJson(line.slice(mark.length)));
    return event.success ? event.output.msg.split("\n").filter((text) => text.trim() !== "") : [];
  });
}
