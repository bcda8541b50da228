// What Nix 2.8, 2.26 and 2.34 really wrote, with the names of paths shortened: which of it is of a
// package, and which of a cache, the network or the host.

import { describe, expect, test } from "vitest";
import {
  type Hindrance,
  isHindrance,
  readBuildHindrance,
  readHindrance,
} from "../../../origin/nix/hindrance.ts";

const TOP = "/nix/store/mgyjs009fnsvy5841mgm83f75irlggyq-top-1";
const DEP = "/nix/store/hnm4v3sispad5c008ll12c5zbn2qp3wm-dep-1";
const CACHE = "http://127.0.0.1:36477";
const HOST = "127.0.0.1:36477";

type Row = readonly [title: string, stderr: string, expected: Hindrance | undefined];

function ofCache(reason: string, cache: string | null = HOST): Hindrance {
  return { kind: "cache-failed", cache, reason };
}

describe("readHindrance", () => {
  const unsigned = `${TOP} is not signed by a key that is trusted here`;
  const noSpace: Hindrance = { kind: "host-failed", reason: "no space is left on its disk" };
  const noDaemon: Hindrance = { kind: "host-failed", reason: "the Nix daemon does not answer" };
  const noBuilder: Hindrance = {
    kind: "host-failed",
    reason: "it may build nothing itself (max-jobs = 0), and no builder elsewhere can",
  };
  const rows: readonly Row[] = [
    [
      "2.8: a cache that hangs up",
      `warning: unable to download '${CACHE}/nix-cache-info': Server returned nothing (no headers, no data) (52)`,
      ofCache("Server returned nothing (no headers, no data) (52)"),
    ],
    [
      "2.26: a cache that hangs up",
      `warning: unable to download '${CACHE}/nix-cache-info': Server returned nothing (no headers, no data) (52) Empty reply from server`,
      ofCache("Server returned nothing (no headers, no data) (52) Empty reply from server"),
    ],
    [
      "2.34: a cache that answers at the second attempt",
      `warning: unable to download '${CACHE}/nix-cache-info': Could not resolve hostname (6) Could not resolve host: cache.invalid; retrying in 264 ms (attempt 1/5)`,
      undefined,
    ],
    [
      "2.8: a cache that answers at the second attempt",
      `warning: error: unable to download '${CACHE}/nix-cache-info': HTTP error 503 ('Service Unavailable')

       response body:

       503; retrying in 338 ms
warning: unable to download '${CACHE}/nar/hnm4.nar': Timeout was reached; retrying from offset 4096 in 250 ms`,
      undefined,
    ],
    [
      "2.8: an error of the cache",
      `warning: unable to download '${CACHE}/nix-cache-info': HTTP error 500 ('Internal Server Error')

         response body:

         a fault`,
      ofCache("HTTP error 500"),
    ],
    [
      "2.26, coloured: an error of the cache",
      `\u001b[31;1merror:\u001b[0m unable to \u001b[35;1mdownload\u001b[0m '\u001b[35;1m${CACHE}/hnm4.narinfo\u001b[0m': HTTP error \u001b[35;1m500\u001b[0m\u001b[35;1m\u001b[0m`,
      ofCache("HTTP error 500"),
    ],
    [
      "2.8: what is no cache",
      `warning: '${CACHE}' does not appear to be a binary cache`,
      ofCache("it does not answer as a binary cache does"),
    ],
    [
      "2.8: a file cut short",
      `error: unable to download '${CACHE}/nar/hnm4.nar': HTTP error 200 ('OK') (curl error: Transferred a partial file)
error: build of '${TOP}' failed`,
      ofCache("a download was cut short: Transferred a partial file"),
    ],
    [
      "2.26: a file cut short",
      `error: unable to download '${CACHE}/nar/hnm4.nar': HTTP error 200 (curl error: Transferred a partial file)`,
      ofCache("a download was cut short: Transferred a partial file"),
    ],
    [
      "2.8: a file cut short under TLS",
      `error: unable to download '${CACHE}/nar/hnm4.nar': HTTP error 200 ('OK') (curl error: Failure when receiving data from the peer)`,
      ofCache("a download was cut short: Failure when receiving data from the peer"),
    ],
    [
      "2.8: a file that is not there",
      `error: file 'nar/hnm4.nar' does not exist in binary cache '${CACHE}'
error: build of '${TOP}' failed`,
      ofCache("it lists nar/hnm4.nar and lacks it"),
    ],
    [
      "2.34: a file that is not there",
      `warning: file 'nar/hnm4.nar' does not exist in binary cache '${CACHE}'
error: some references of path '${TOP}' could not be realised`,
      ofCache("it lists nar/hnm4.nar and lacks it"),
    ],
    [
      "all: a file that is another",
      `error: hash mismatch importing path '${DEP}';
         specified: sha256:0kgsw0zzjjffw4ivnhg1mpp6l3cgvs0q06has0k7hsm65la4wjzw
         got:       sha256:1z7z8zbixkvh9vs30wypvmcf6lp2drai114gzkqc0vzqwyqbgwr3`,
      ofCache(`${DEP} has a wrong hash`, null),
    ],
    [
      "all: a file that cannot be unpacked",
      `error: Failed to open archive (Zstd decompression failed: Data corruption detected)
error: build of '${TOP}' failed`,
      ofCache("a file is damaged: Zstd decompression failed: Data corruption detected", null),
    ],
    [
      "2.8: a file that is no archive",
      "error: bad archive: unknown field ccnsents",
      ofCache("a file is damaged: unknown field ccnsents", null),
    ],
    [
      "2.8: a signature of somebody else",
      `warning: the substitute for '${TOP}' from '${CACHE}' is not signed by any of the keys in 'trusted-public-keys'
error: build of '${TOP}' failed`,
      ofCache(unsigned),
    ],
    [
      "2.26: a signature of somebody else",
      `warning: ignoring substitute for '${TOP}' from '${CACHE}', as it's not signed by any of the keys in 'trusted-public-keys'`,
      ofCache(unsigned),
    ],
    [
      "2.8: substitutes of a derivation",
      `error: some substitutes for the outputs of derivation '${TOP}.drv' failed (usually happens due to networking issues); try '--fallback' to build derivation from source`,
      ofCache(
        `some substitutes for the outputs of derivation '${TOP}.drv' failed (usually happens due to networking issues); try '--fallback' to build derivation from source`,
        null,
      ),
    ],
    ["all: no room", "error: writing to file: No space left on device", noSpace],
    [
      "2.8: no room for the database",
      "error: executing SQLite statement 'pragma synchronous = normal': disk I/O error (in '/nix/var/nix/db/db.sqlite')",
      { kind: "host-failed", reason: "its disk fails, or is full" },
    ],
    [
      "2.8: no room for a transaction",
      `error (ignored): error: aborting transaction: SQL logic error (in '/nix/var/nix/db/db.sqlite')
error: committing transaction: database or disk is full (in '/nix/var/nix/db/db.sqlite')`,
      noSpace,
    ],
    [
      "2.8: no room for what it remembers of caches, which it makes nothing of",
      `error (ignored): error: executing SQLite query: disk I/O error (in '/root/.cache/nix/binary-cache-v6.sqlite')
error: builder for '${TOP}.drv' failed with exit code 1`,
      undefined,
    ],
    [
      "2.26: no room for a derivation",
      `error:
       … while evaluating derivation 'hello-1.0'
         whose name attribute is located at /tmp/set.nix:2:47

       error: writing to file: No space left on device`,
      noSpace,
    ],
    [
      "all: a TMPDIR without room",
      "error: creating directory '/tmp/nix-build-hello-1.0.drv-0': No space left on device",
      noSpace,
    ],
    [
      "all: a store that can only be read",
      "error: opening lock file '/nix/store/x.lock': Read-only file system",
      { kind: "host-failed", reason: "its disk can only be read" },
    ],
    [
      "a process of Nix's that was killed",
      "error: ended by SIGKILL",
      { kind: "host-failed", reason: "Nix itself was killed, most likely for want of memory" },
    ],
    [
      "all: no daemon",
      "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': No such file or directory",
      noDaemon,
    ],
    ["2.8: a daemon that died", "error: unexpected end-of-file", noDaemon],
    [
      "2.26: a daemon that died, in a trace",
      "error:\n       … while evaluating 'x'\n\n       error: unexpected end-of-file",
      noDaemon,
    ],
    [
      "all: a package set's own words",
      "error: evaluation aborted with the following error message: 'versions.json: unexpected end-of-file'",
      undefined,
    ],
    [
      "all: a daemon's socket that nobody listens at",
      "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
      noDaemon,
    ],
    [
      "2.26: a daemon that died in an evaluation",
      "error: cannot open connection to remote store 'daemon': error: reading from file: Connection reset by peer",
      noDaemon,
    ],
    [
      "2.26: a daemon that died",
      "error: Nix daemon disconnected unexpectedly (maybe it crashed?)",
      noDaemon,
    ],
    [
      "2.8: nothing to build on",
      `error: unable to start any build; either increase '--max-jobs' or enable remote builds.
       https://nixos.org/manual/nix/stable/advanced-topics/distributed-builds.html`,
      noBuilder,
    ],
    [
      "2.26: nothing to build on",
      `error:
                           Unable to start any build;
                           either increase '--max-jobs' or enable remote builds.`,
      noBuilder,
    ],
    [
      "2.34: nothing to build on",
      `error: Cannot build '${DEP}.drv'.
       Reason: local builds are disabled (max-jobs = 0)
       Hint: set 'max-jobs' to a non-zero value to enable local builds, or configure remote builders via 'builders'`,
      noBuilder,
    ],
    [
      "all: words of a builder, quoted",
      `error: builder for '${TOP}.drv' failed with exit code 1;
       last 2 log lines:
       > error: unable to download '${CACHE}/x': HTTP error 500
       > write: No space left on device`,
      undefined,
    ],
    ["all: a failed builder", `error: builder for '${TOP}.drv' failed with exit code 1`, undefined],
  ];
  test.for(rows)("%s", ([, stderr, expected]) => {
    const found = readHindrance(stderr);
    expect(found).toStrictEqual(expected);
    if (found !== undefined) expect(isHindrance(found)).toBe(true);
  });
});

describe("readBuildHindrance", () => {
  const failed = `builder for '${TOP}.drv' failed with exit code 1`;
  const fetching = (said: string) => [
    "\u001b[31;1merror:\u001b[0m",
    `       … writing file '${TOP}'`,
    `       \u001b[31;1merror:\u001b[0m unable to \u001b[35;1mdownload\u001b[0m 'http://x.invalid/x': ${said}`,
  ];
  const unreached = (reason: string): Hindrance => ({
    ...{ kind: "source-unreachable", derivation: `${TOP}.drv`, reason },
  });
  const rows: readonly (readonly [
    title: string,
    reason: string,
    log: readonly string[],
    isFixedOutput: boolean,
    expected: Hindrance | undefined,
  ])[] = [
    [
      "2.8: builtin:fetchurl without a connection",
      failed,
      ["error: unable to download 'http://127.0.0.1:1/x': Couldn't connect to server (7)"],
      true,
      unreached("unable to download 'http://127.0.0.1:1/x': Couldn't connect to server (7)"),
    ],
    [
      "2.26: builtin:fetchurl without a name server",
      failed,
      fetching("\u001b[35;1mCould not resolve hostname\u001b[0m (\u001b[35;1m6\u001b[0m)"),
      true,
      unreached("unable to download 'http://x.invalid/x': Could not resolve hostname (6)"),
    ],
    [
      "2.26: builtin:fetchurl and a server with an error",
      failed,
      fetching("HTTP error 503"),
      true,
      unreached("unable to download 'http://x.invalid/x': HTTP error 503"),
    ],
    [
      "2.26: builtin:fetchurl, cut short",
      failed,
      fetching("HTTP error 200 (curl error: Transferred a partial file)"),
      true,
      unreached(
        "unable to download 'http://x.invalid/x': HTTP error 200 (curl error: Transferred a partial file)",
      ),
    ],
    ["2.26: builtin:fetchurl of what is gone", failed, fetching("HTTP error 404"), true, undefined],
    [
      "curl without a connection",
      failed,
      ["curl: (7) Failed to connect to h.example port 443: Connection refused", "giving up"],
      true,
      unreached("curl: (7) Failed to connect to h.example port 443: Connection refused"),
    ],
    [
      "2.26: builtin:fetchurl of what wants other credentials",
      failed,
      fetching("HTTP error 401"),
      true,
      unreached("unable to download 'http://x.invalid/x': HTTP error 401"),
    ],
    [
      "curl of what wants other credentials",
      failed,
      ["curl: (22) The requested URL returned error: 403"],
      true,
      unreached("curl: (22) The requested URL returned error: 403"),
    ],
    [
      "git with a password that has expired",
      failed,
      [
        "remote: Invalid username or password.",
        "fatal: Authentication failed for 'https://h.example/r/'",
      ],
      true,
      unreached("Authentication failed for 'https://h.example/r/'"),
    ],
    [
      "curl of what is gone",
      failed,
      ["curl: (22) The requested URL returned error: 404"],
      true,
      undefined,
    ],
    [
      "git without a name server",
      failed,
      ["fatal: unable to access 'https://h.example/r/': Could not resolve host: h.example"],
      true,
      unreached("unable to access 'https://h.example/r/': Could not resolve host: h.example"),
    ],
    [
      "curl in a build that may not use the network",
      failed,
      ["curl: (6) Could not resolve host: h.example"],
      false,
      undefined,
    ],
    [
      "2.8: a builder that was killed",
      `builder for '${TOP}.drv' failed due to signal 9 (Killed)`,
      [],
      false,
      { kind: "host-failed", reason: "a builder was killed, most likely for want of memory" },
    ],
    [
      "2.34: a builder that was killed",
      "builder failed due to signal 9 (Killed).",
      [],
      false,
      { kind: "host-failed", reason: "a builder was killed, most likely for want of memory" },
    ],
    [
      "all: a shell whose program was killed",
      `builder for '${TOP}.drv' failed with exit code 137`,
      [],
      false,
      { kind: "host-failed", reason: "a builder was killed, most likely for want of memory" },
    ],
    [
      "all: a compiler that was killed",
      failed,
      ["g++: fatal error: Killed signal terminated program cc1plus", "make: *** [x.o] Error 1"],
      false,
      { kind: "host-failed", reason: "a builder was killed, most likely for want of memory" },
    ],
    [
      "all: make, of whose programs one was killed",
      failed,
      ["make[2]: *** [Makefile:12: x.o] Killed", "make: *** [all] Error 2"],
      false,
      { kind: "host-failed", reason: "a builder was killed, most likely for want of memory" },
    ],
    ["all: a test's word", failed, ["make: *** [test: Killed twice] Error 1"], false, undefined],
    [
      "all: a builder without room",
      failed,
      ["cp: error writing 'x': No space left on device", "make: *** [all] Error 1"],
      false,
      { kind: "host-failed", reason: "no space is left on its disk" },
    ],
    ["all: a builder that crashed", "failed due to signal 11", ["begun"], false, undefined],
    ["all: a builder that failed", failed, ["wrong"], true, undefined],
    [
      "all: a source that is another",
      `hash mismatch in fixed-output derivation '${TOP}.drv':`,
      [],
      true,
      undefined,
    ],
  ];
  test.for(rows)("%s", ([, reason, log, isFixedOutput, expected]) => {
    const found = readBuildHindrance(`${TOP}.drv`, { reason, log }, isFixedOutput);
    expect(found).toStrictEqual(expected);
  });
});
