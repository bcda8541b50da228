// Every error a client can see: one table from code to status, one writer. A call site chooses a
// code and says what happened; it never chooses a status or writes a body.

/**
 * The specification's codes, and two of the Docker era for 5xx, whose bodies the specification
 * leaves free.
 */
const ERRORS = {
  BLOB_UNKNOWN: { status: 404, message: "blob unknown to registry" },
  BLOB_UPLOAD_INVALID: { status: 400, message: "blob upload invalid" },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: "blob upload unknown to registry" },
  DENIED: { status: 403, message: "requested access to the resource is denied" },
  DIGEST_INVALID: { status: 400, message: "provided digest did not match uploaded content" },
  MANIFEST_BLOB_UNKNOWN: { status: 404, message: "manifest references an unknown blob" },
  MANIFEST_INVALID: { status: 400, message: "manifest invalid" },
  MANIFEST_UNKNOWN: { status: 404, message: "manifest unknown to registry" },
  NAME_INVALID: { status: 400, message: "invalid repository name" },
  NAME_UNKNOWN: { status: 404, message: "repository name not known to registry" },
  SIZE_INVALID: { status: 400, message: "provided length did not match content length" },
  TOOMANYREQUESTS: { status: 429, message: "too many requests" },
  UNAUTHORIZED: { status: 401, message: "authentication required" },
  UNSUPPORTED: { status: 405, message: "the operation is unsupported" },
  UNKNOWN: { status: 500, message: "unknown error" },
  UNAVAILABLE: { status: 503, message: "service unavailable" },
} as const;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

export interface ErrorOptions {
  /** Structured facts for programs; the message alone must do for people. */
  readonly detail?: unknown;
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

const DEFAULT_RETRY_AFTER_SECONDS = 10;
/**
 * RFC 9110 §11.6.1 wants a challenge with every 401, which those for clients bring themselves. Of others a
 * scheme that no client knows: one of `Bearer` would send clients to look for a server of tokens, and none
 * of them gets one.
 */
const CHALLENGE = "Nixport";
/** Clients print a message whole, and some give up on large error bodies. */
export const MAX_MESSAGE_CHARACTERS = 16 * 1024;
export const MAX_ERROR_BYTES = 64 * 1024;

export class RegistryError extends Error {
  readonly code: ErrorCode;
  readonly options: ErrorOptions;

  constructor(code: ErrorCode, message?: string, options: ErrorOptions = {}) {
    super(message ?? ERRORS[code].message, { cause: options.cause });
    this.name = "RegistryError";
    this.code = code;
    this.options = options;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

/**
 * The only writer of error bodies. A HEAD answer carries the headers of the GET answer and no body
 * (RFC 9110 §9.3.2). Errors are never cached: a shared cache would keep a 404 for minutes.
 */
export function errorResponse(error: RegistryError, method: string): Response {
  const { retryAfterSeconds, headers } = error.options;
  const body = new TextEncoder().encode(bodyOf(error));
  const response = new Headers({
    ...headers,
    "Content-Type": "application/json",
    "Content-Length": String(body.length),
    "Cache-Control": "no-store",
    "Docker-Distribution-API-Version": "registry/2.0",
  });
  if (error.status === 429 || error.status === 503) {
    response.set("Retry-After", String(retryAfterSeconds ?? DEFAULT_RETRY_AFTER_SECONDS));
  }
  if (error.status === 401 && !response.has("WWW-Authenticate")) {
    response.set("WWW-Authenticate", CHALLENGE);
  }
  return new Response(method === "HEAD" ? null : body, { status: error.status, headers: response });
}

/** Facts that would make the body too large are left out: the message says the same in words. */
function bodyOf({ code, message: text, options: { detail } }: RegistryError): string {
  const message =
    text.length <= MAX_MESSAGE_CHARACTERS
      ? text
      : `${text.slice(0, MAX_MESSAGE_CHARACTERS - 1).toWellFormed()}…`;
  const write = (facts: object) => `${JSON.stringify({ errors: [{ code, message, ...facts }] })}\n`;
  const whole = write(detail === undefined ? {} : { detail });
  const isSmall = new TextEncoder().encode(whole).length <= MAX_ERROR_BYTES;
  return isSmall ? whole : write({});
}
