// Which exceptions are a fault of this host, and which are bugs.

import { expect, test } from "vitest";
import { hostFailureOf } from "../../../origin/failures/host-error.ts";
import { NixFailed, notStarted } from "../../../origin/nix/nix-failed.ts";

const STORE_PATH = "/nix/store/mlr2xz90n8nl94r9k1ci2ikcp5z55ijq-moreutils-0.70";
const coded = (code: string) => Object.assign(new Error(`${code}: it failed`), { code });
const not = (code: string) => notStarted("nix-store", { kind: "not-started", error: coded(code) });

const rows: readonly (readonly [title: string, error: unknown, reason: string | undefined])[] = [
  ["a full disk", coded("ENOSPC"), "no space is left on its disk"],
  ["a full quota", coded("EDQUOT"), "no space is left on its disk"],
  ["a disk that can only be read", coded("EROFS"), "its disk can only be read"],
  ["a file that is somebody else's", coded("EACCES"), "its files may not be read or written"],
  ["a file that nobody may change", coded("EPERM"), "its files may not be read or written"],
  ["a disk that fails", coded("EIO"), "its disk fails, or is full"],
  ["too many files", coded("EMFILE"), "too many files are open"],
  ["no room for a process", not("EAGAIN"), "it is out of memory"],
  [
    "a cause below others",
    new Error("a", { cause: new Error("b", { cause: coded("ENOSPC") }) }),
    "no space is left on its disk",
  ],
  ["a Nix that is gone", not("ENOENT"), "nix-store could not be started"],
  [
    "a daemon that is gone",
    new NixFailed("nix path-info failed: cannot connect to socket at '/x': Connection refused"),
    "the Nix daemon does not answer",
  ],
  [
    "words of Nix's that nobody knows",
    new NixFailed("nix path-info failed: hm"),
    "nix path-info failed: hm",
  ],
  [
    "a file of the store that is gone",
    Object.assign(new Error(`ENOENT: no such file or directory, lstat '${STORE_PATH}/bin'`), {
      code: "ENOENT",
    }),
    "files are gone from its store that Nix believes to be there",
  ],
  [
    "a path that a collector took",
    new NixFailed(`nix path-info failed: error: path '${STORE_PATH}' is not valid`),
    "files are gone from its store that Nix believes to be there",
  ],
  ["a file that should be there", coded("ENOENT"), undefined],
  ["a name of an object's own", coded("constructor"), undefined],
  ["a bug", new TypeError("x is undefined"), undefined],
  ["nothing", undefined, undefined],
];
test.each(rows)("tells of an exception: %s", (_title, error, reason) => {
  expect(hostFailureOf(error)).toStrictEqual(reason && { kind: "host-failed", reason });
});
