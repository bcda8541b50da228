// What came of the work for an image, as its watchers are told: no more than a client would be.

import * as v from "valibot";
import { RegistryError } from "../../registry/http/error.ts";
import { failureError } from "../failures/failures.ts";
import { hostFailureOf } from "../failures/host-error.ts";
import { GaveWay } from "../waiting/demand.ts";
import type { WorkEnd } from "./watched-work.ts";

/** Of all packages together; each has few, and they are short. */
const MAX_LOG_LINES = 100;

const logSchema = v.object({ log: v.array(v.string()) });

export function failedEnd(error: RegistryError): WorkEnd {
  const { code, message, options } = error;
  if (code === "TOOMANYREQUESTS") return { kind: "refused", message };
  return { kind: "failed", message, log: logOf(options.detail) };
}

/** Of work that has no result. What went wrong in it is the log's to tell, not a client's to know. */
export function brokenEnd(reason: unknown): WorkEnd {
  if (reason instanceof RegistryError) return failedEnd(reason);
  if (reason instanceof GaveWay) {
    const message = "it gave way to what is waited for: whoever pulls it has it begun anew";
    return { kind: "failed", message, log: [] };
  }
  const host = hostFailureOf(reason);
  const message = host === undefined ? "internal error" : failureError(host).message;
  return { kind: "failed", message, log: [] };
}

function logOf(detail: unknown): readonly string[] {
  const entries = Array.isArray(detail) ? detail : [];
  const lines = entries.flatMap((entry) => {
    const parsed = v.safeParse(logSchema, entry);
    return parsed.success ? parsed.output.log : [];
  });
  return lines.slice(-MAX_LOG_LINES);
}
