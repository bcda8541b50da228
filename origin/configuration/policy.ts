// Who may pull what: JSON in the environment, or the file that it names. All that is wrong with it is told
// before anything starts.

import { readFileSync } from "node:fs";
import {
  type AccessSettings,
  type ParsedAccess,
  parseAccess,
} from "../../registry/access/settings.ts";
import type { Variables } from "./variables.ts";

const NAME = "NIXPORT_POLICY";

/** Of the origin by itself; null: whoever reaches it may pull everything. */
export function readPolicy(variables: Variables): AccessSettings | null {
  const parsed = parsedPolicy(variables)?.parsed;
  return parsed?.kind === "access" ? parsed.settings : null;
}

/** The JSON itself, for an edge on this machine; undefined where there is none. */
export function readPolicyText(variables: Variables): string | undefined {
  return parsedPolicy(variables)?.json;
}

function parsedPolicy({
  text,
  problem,
}: Variables): { readonly json: string; readonly parsed: ParsedAccess } | undefined {
  const said = text(NAME);
  const json = said === undefined || said.startsWith("{") ? said : readText(said, problem);
  if (json === undefined) return undefined;
  const parsed = parseAccess(json);
  if (parsed.kind === "invalid") for (const each of parsed.problems) problem(`${NAME}: ${each}`);
  return { json, parsed };
}

function readText(path: string, problem: Variables["problem"]): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code = "it cannot be read" } = error as NodeJS.ErrnoException;
    return problem(`${NAME} is neither JSON nor a file that can be read: ${code}`);
  }
}
