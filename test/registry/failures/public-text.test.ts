// What is taken out of other programs' words before a client reads them.

import { describe, expect, test } from "vitest";
import { publicText } from "../../../registry/failures/public-text.ts";

const STORE = "/nix/store/zd5x0izlknyd56d3jpi6w56ymany1c6g";

describe("publicText", () => {
  const same = [
    `in ${STORE}-source/pkgs/x.nix:3`,
    `'${STORE}-source/a b'`,
    "https://example.org/a/b.tar.gz",
    "and/or 1 / 2 // s/a/b/ x86/64",
    "/bin/sh: foo: not found",
    "#!/usr/bin/env python3 > /dev/null",
    "/build/source/main.c:3:1: error",
    "HOME is /homeless-shelter",
    "git@example.org:a/b",
    "one\n\ttwo",
    "…/gone",
  ];
  test.for(same)("leaves %j", (text) => expect(publicText(text)).toBe(text));

  const rows: readonly (readonly [text: string, shown: string])[] = [
    ["/root/.config/x.nix is", "…/x.nix is"],
    ["«/srv/a b»", "«…/a b»"],
    [
      "getting status of '/srv/secret set/default.nix': gone",
      "getting status of '…/default.nix': gone",
    ],
    ["cannot read /srv/nixport/origin/staging/12-ab", "cannot read …/12-ab"],
    ["/tmp/nix-build-x-1.drv-0/src/foo.c:3: error", "…/foo.c:3: error"],
    ["in /home/alice", "in …"],
    ["in '/root'", "in '…'"],
    ["~/.ssh/id_rsa", "…/id_rsa"],
    ["error:/home/alice/x", "error:…/x"],
    ["path:/home/alice/set", "path:…/set"],
    ["(/home/alice/x)", "(…/x)"],
    ["PATH=/usr/bin:/home/alice/bin", "PATH=…/bin:…/bin"],
    ["gcc -I/home/alice/inc -L/opt/lib --prefix=/home/alice/p", "gcc -I…/inc -L…/lib --prefix=…/p"],
    ["/nix/store/../../home/alice/x", "…/x"],
    ["/build/../home/alice/x", "…/x"],
    ["/usr/bin/../../home/alice/x", "…/x"],
    ["file:///home/alice/set", "…/set"],
    ["git+file:///home/alice/set?ref=x", "…/set"],
    ["https://user:token@example.org/r.git", "https://example.org/r.git"],
    ["https://token@example.org/r.git", "https://example.org/r.git"],
    ["https://user:p@ss@example.org/r.git", "https://example.org/r.git"],
    ["HTTPS://user:token@example.org/r.git", "HTTPS://example.org/r.git"],
    ["FILE:///home/alice/set", "…/set"],
    ["https://example.org/@scope/x", "https://example.org/@scope/x"],
    ["https://example.org/x?X-Signature=1&y", "https://example.org/x?…"],
    ["\u001b[31;1mred\u001b[0m and \u001b]0;title\u0007rung\u0007", "red and rung"],
    ["\u001b]8;;https://evil.example\u001b\\link", "link"],
    ["one\r\ntwo\rthree", "one\ntwo\nthree"],
    ["turned \u202eround\u2069", "turned round"],
    ["lone \ud800", "lone \ufffd"],
  ];
  for (const [text, shown] of rows) {
    test(`makes ${shown} of ${JSON.stringify(text)}`, () => {
      expect(publicText(text)).toBe(shown);
      expect(publicText(shown)).toBe(shown);
    });
  }

  const hostile = ["'/", "«/", "/", "~/", "-I", "a://", "-a/", "\u001b]", "\u001b[0", "(/"];
  test.for(hostile)("ends soon on 256 KiB of %j", { timeout: 5000 }, (piece) => {
    publicText(piece.repeat(262_144 / piece.length));
  });
});
