// What an exception says of this host: the system's own codes, wherever they come from, a storage
// elsewhere and questions that Nix did not answer. The one place where an exception is no bug.

import {
  DISK_FAILS,
  type HostFailure,
  lostPath,
  NO_FILES,
  NO_MEMORY,
  NO_SPACE,
  NOT_ALLOWED,
  READ_ONLY,
  readHostFailure,
} from "../nix/hindrance.ts";
import { NixFailed } from "../nix/nix-failed.ts";
import { StorageFailed } from "../storage/storage-failed.ts";

const CODES: Readonly<Record<string, string>> = {
  ENOSPC: NO_SPACE,
  EDQUOT: NO_SPACE,
  EROFS: READ_ONLY,
  EACCES: NOT_ALLOWED,
  EPERM: NOT_ALLOWED,
  EIO: DISK_FAILS,
  ESTALE: DISK_FAILS,
  ENODEV: DISK_FAILS,
  EMFILE: NO_FILES,
  ENFILE: NO_FILES,
  ENOMEM: NO_MEMORY,
  // Of a process or a thread that cannot be started.
  EAGAIN: NO_MEMORY,
};
const MAX_CAUSES = 8;

const STORE_LACKS = "files are gone from its store that Nix believes to be there";
const IN_STORE = /'[^']*\/nix\/store\/[0-9a-z]{32}-/;

/**
 * Whether a file of the store was gone when it was looked at. Nix's collector may take what was found to be
 * there a moment before its root was (2.8): realised once more it comes again.
 */
export function isGoneFromStore(error: unknown): boolean {
  return causesOf(error).some(
    (each) =>
      (isCoded(each) && each.code === "ENOENT" && IN_STORE.test(each.message)) ||
      (each instanceof NixFailed && lostPath(each.message)),
  );
}

/** Undefined for a bug. */
export function hostFailureOf(error: unknown): HostFailure | undefined {
  const errors = causesOf(error);
  for (const { code } of errors.filter(isCoded)) {
    const reason = Object.hasOwn(CODES, code) ? CODES[code] : undefined;
    if (reason !== undefined) return { kind: "host-failed", reason };
  }
  if (isGoneFromStore(error)) return { kind: "host-failed", reason: STORE_LACKS };
  const storage = errors.find((each) => each instanceof StorageFailed);
  if (storage !== undefined) return { kind: "host-failed", reason: storage.message };
  const failed = errors.find((each) => each instanceof NixFailed);
  if (failed === undefined) return undefined;
  return readHostFailure(failed.message) ?? { kind: "host-failed", reason: failed.message };
}

function causesOf(error: unknown): readonly Error[] {
  const errors: Error[] = [];
  for (let each = error; each instanceof Error && errors.length < MAX_CAUSES; each = each.cause) {
    errors.push(each);
  }
  return errors;
}

function isCoded(error: Error): error is Error & { readonly code: string } {
  return "code" in error && typeof error.code === "string";
}
