// What git 2.39 and 2.47 wrote, with the names of places shortened.

import { expect, test } from "vitest";
import { gitReason } from "../../../origin/nix/git-words.ts";

const ADVICE = `fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
`;

const rows: readonly (readonly [title: string, stderr: string, reason: string])[] = [
  [
    "a host whose key nobody has accepted",
    `No ED25519 host key is known for h.example and you have requested strict checking.\r\nHost key verification failed.\r\n${ADVICE}`,
    "No ED25519 host key is known for h.example and you have requested strict checking.; Host key verification failed.",
  ],
  [
    "a host whose key has changed",
    `@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@
It is also possible that a host key has just been changed.
Please contact your system administrator.
Host key for h.example has changed and you have requested strict checking.
Host key verification failed.
${ADVICE}`,
    "Please contact your system administrator.; Host key for h.example has changed and you have requested strict checking.; Host key verification failed.",
  ],
  [
    "a key that the host does not accept",
    `Warning: Permanently added 'h.example' (ED25519) to the list of known hosts.\ngit@h.example: Permission denied (publickey).\n${ADVICE}`,
    "git@h.example: Permission denied (publickey).",
  ],
  [
    "a host that does not answer",
    `ssh: connect to host 127.0.0.1 port 1: Connection refused\n${ADVICE}`,
    "ssh: connect to host 127.0.0.1 port 1: Connection refused",
  ],
  [
    "a repository of somebody else's",
    `fatal: detected dubious ownership in repository at '/srv/r/.git'
To add an exception for this directory, call:

	git config --global --add safe.directory /srv/r/.git
${ADVICE}`,
    "detected dubious ownership in repository at '/srv/r/.git'",
  ],
  [
    "a forge's own word",
    "remote: Repository not found.\nfatal: repository 'https://h.example/r/' not found\n",
    "remote: Repository not found.; repository 'https://h.example/r/' not found",
  ],
  [
    "a transfer that broke",
    "remote: Counting objects: 3% (1/30)\rremote: Counting objects: 100% (30/30)\nerror: RPC failed; curl 18 transfer closed\nfatal: early EOF\n",
    "RPC failed; curl 18 transfer closed; early EOF",
  ],
  ["nothing but that it failed", ADVICE, "Could not read from remote repository."],
  ["nothing", "", ""],
];
test.each(rows)("says why git failed: %s", (_title, stderr, reason) => {
  expect(gitReason(stderr)).toBe(reason);
});
