// What an origin's failure becomes for a client: its own registry errors go on, since they say which
// package is missing or what failed; a page of a proxy in between, or nonsense, does not.

import * as v from "valibot";
import { readLimited } from "../../registry/http/body.ts";
import {
  isErrorCode,
  MAX_ERROR_BYTES,
  MAX_MESSAGE_CHARACTERS,
  RegistryError,
} from "../../registry/http/error.ts";
import { parseJson } from "../../registry/http/json.ts";

const MAX_RETRY_AFTER_SECONDS = 3600;

const errorsSchema = v.object({
  errors: v.pipe(
    v.array(
      v.object({
        code: v.pipe(v.string(), v.check(isErrorCode)),
        message: v.pipe(v.string(), v.maxLength(MAX_MESSAGE_CHARACTERS)),
        detail: v.optional(v.unknown()),
      }),
    ),
    v.minLength(1),
  ),
});

/** The error to throw for an answer of the origin that is no content. Consumes its body. */
export async function originError(response: Response): Promise<RegistryError> {
  const { status } = response;
  const told = await readError(response);
  if (told === undefined) return unusable(`status ${status} without a registry error`);
  const { detail } = told;
  const after = retryAfterSeconds(response.headers);
  const options = {
    ...(detail !== undefined && { detail }),
    ...(after !== undefined && { retryAfterSeconds: after }),
  };
  if (status >= 500) return new RegistryError("UNAVAILABLE", told.message, options);
  // Passed on, this would make the client ask its user for a password that nobody has.
  if (told.code === "UNAUTHORIZED") return unusable("a refusal of this edge's token");
  const error = new RegistryError(told.code, told.message, options);
  return error.status === status ? error : unusable(`${told.code} with status ${status}`);
}

const unknownTagSchema = v.tuple([v.object({ reason: v.literal("unknown-tag") })]);

/** The origin says that its package source has no such tag: a missing package would be no reason. */
export function isUnknownTag(error: unknown): boolean {
  if (!(error instanceof RegistryError) || error.code !== "MANIFEST_UNKNOWN") return false;
  return v.is(unknownTagSchema, error.options.detail);
}

/** Nothing was said of what was asked for: another origin may do better. */
export class OriginFailure extends RegistryError {
  constructor(what: string, cause: unknown) {
    super("UNAVAILABLE", `not cached here, and the origin${what}; try again`, { cause });
  }
}

/** The origin was reached, and what it said counts for nothing. */
export function unusable(what: string): OriginFailure {
  const cause = new Error(`the origin answered ${what}`);
  return new OriginFailure("'s answer could not be used", cause);
}

async function readError(response: Response) {
  const bytes = await readLimited(response.body, MAX_ERROR_BYTES);
  if (bytes === undefined) return undefined;
  const parsed = v.safeParse(errorsSchema, parseJson(bytes));
  const [error] = parsed.success ? parsed.output.errors : [];
  return error !== undefined && isErrorCode(error.code)
    ? { ...error, code: error.code }
    : undefined;
}

function retryAfterSeconds(headers: Headers): number | undefined {
  const text = headers.get("Retry-After") ?? "";
  return /^\d{1,6}$/.test(text) ? Math.min(Number(text), MAX_RETRY_AFTER_SECONDS) : undefined;
}
