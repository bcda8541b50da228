// What a bucket's failures are: an answer, such as that there is no such object, or a failure of the
// storage, which is the host's and passes.

/** The message is for clients too: it names no bucket, no address and no account. */
export class StorageFailed extends Error {
  override readonly name = "StorageFailed";
}

/** What a person has to mend before an origin can start: no such bucket, no rights, no credentials. */
export class StorageProblem extends Error {}

/** Fails with StorageFailed, whatever the reason. */
export async function attempt<Result>(
  deadlineMs: number,
  work: () => Promise<Result>,
): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer in ${deadlineMs} ms`)), deadlineMs);
  try {
    return await Promise.race([work(), late]);
  } catch (cause) {
    throw new StorageFailed(reasonOf(cause), { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** Undefined where it fails with this status. */
export async function unless<Result>(
  status: number,
  work: Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    if (statusOf(error) === status) return undefined;
    throw error;
  }
}

/** That it was asked for what cannot be, which asking again does not change. */
export function isRefusal(error: unknown): boolean {
  const status = statusOf(error) ?? 0;
  return status >= 400 && status < 500;
}

function reasonOf(error: unknown): string {
  switch (statusOf(error)) {
    case 401:
    case 403:
      return "the storage refuses this host";
    case 404:
      return "the storage is gone";
    case 429:
      return "the storage is asked too often";
    default:
      return "the storage does not answer";
  }
}

/** In a line, for an operator: Google's library numbers the same words on several. */
export function saidOf(failure: unknown): string {
  const error = failure instanceof StorageFailed ? failure.cause : failure;
  if (!(error instanceof Error)) return String(error);
  const words = error.message
    .split("\n")
    .map((line) => line.replace(/^\s*\d+\. /, "").trim())
    .filter((line) => line !== "" && !line.startsWith("Multiple errors occurred"));
  return [...new Set(words)].join("; ");
}

/** Google's library has it as a number or as text. */
function statusOf(error: unknown): number | undefined {
  const code = error instanceof Error && "code" in error ? Number(error.code) : Number.NaN;
  return Number.isInteger(code) ? code : undefined;
}
