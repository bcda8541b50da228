// What a test tells the wrapped Worker with a request, and what it is told with the answer.

export interface Controls {
  readonly nowMs?: number;
  readonly fail?: readonly ("kv" | "r2")[];
  readonly hang?: readonly ("kv" | "r2")[];
  /** Has R2 give another range than it is asked for. */
  readonly wrongRange?: boolean;
  /** Has R2's second answer to this request end early. */
  readonly cutsSecondRead?: boolean;
  /** The location's cache takes everything and keeps nothing. */
  readonly forgetfulCache?: boolean;
  /** What comes out of the location's cache: ends early, or is other bytes. */
  readonly copies?: "cut" | "wrong";
  /** A number is what it lets pass under one key, for ever. */
  readonly limiter?: "fails" | "refuses" | number;
  /** What may be kept; a number as of the limiter, under one key, for ever. */
  readonly keeping?: "fails" | "refuses" | number;
  /** How often one may be wrong, as a whole location counts it. */
  readonly logins?: "fails" | "refuses";
  /** Answers as at another location, whose cache has nothing. */
  readonly location?: string;
  /** Has another Worker write what this tag has as soon as this one has read its pointer. */
  readonly overtakenBy?: string;
  /** Lets KV answer only when R2 was asked. */
  readonly slowKv?: boolean;
  /** Answers as an isolate would that has just started. */
  readonly coldMemory?: boolean;
  /** Answers as the isolate of this name, which remembers nothing of others. */
  readonly isolate?: string;
  /** Does not wait for what is done behind the answer. */
  readonly unsettled?: boolean;
  /** Has work behind the answer that lasts until the origin answers what it asks. */
  readonly behind?: boolean;
  /** Tells the origin when R2 has answered, before anything comes of it. */
  readonly tellsOfR2?: boolean;
  /** Of what the origin is asked, but for blobs. */
  readonly deadlineMs?: number;
  readonly blobDeadlineMs?: number;
  /** How long a second is of those for which clients are held. */
  readonly secondMs?: number;
}

export const CONTROLS_HEADER = "Test-Controls";
export const OPERATIONS_HEADER = "Test-Operations";
/** The same with those of the location's cache, before the answer and in all. */
export const SUBREQUESTS_HEADER = "Test-Subrequests";
/** What that work asks of the origin. */
export const BEHIND_PATH = "/behind";
/** How it is told. */
export const R2_ANSWERED_PATH = "/r2-answered";
/** The time at both sides, unless a test says another. */
export const NOW_MS = 1_800_000_000_000;
