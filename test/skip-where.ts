// Options for tests that cannot run everywhere: skipped, with the reason for the run's last lines.

declare module "vitest" {
  interface TaskMeta {
    /** Why it is skipped. */
    reason?: string;
  }
}

/** `reason` is false, or absent, where they run. */
export function skipWhere(reason: string | false | undefined) {
  return reason ? { skip: true, meta: { reason } } : { skip: false };
}
