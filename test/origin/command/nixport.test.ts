// The command line as a process: help, and wrong usage.

import { describe, expect, test } from "vitest";
import { ended, start } from "./command.ts";

describe("nixport", { timeout: 60_000 }, () => {
  const usage: readonly [args: readonly string[], code: number, stdout: RegExp, stderr: RegExp][] =
    [
      [["--help"], 0, /^usage: npm run nixport -- <command>[\s\S]* popularity /, /^$/],
      [["origin", "--help"], 0, /^usage: npm run nixport -- origin\n/, /^$/],
      [["origin"], 1, /^$/, /^nixport: the configuration is wrong:\n {2}- no package source: /],
      [["origin", "--port", "1"], 2, /^$/, /^nixport: Unknown option '--port'/],
      [["doctor", "--help"], 0, /^usage: npm run nixport -- doctor \[--json\]/, /^$/],
      [["doctor", "x"], 2, /^$/, /^nixport: Unexpected argument 'x'/],
      [["fsck", "--help"], 0, /^usage: npm run nixport -- fsck /, /^$/],
      [["fsck", "x"], 2, /^$/, /^nixport: Unexpected argument 'x'/],
      [["popularity", "--help"], 0, /^usage: npm run nixport -- popularity/, /^$/],
      [["popularity", "--cache", "x", "-h"], 0, /^usage: npm run nixport -- popularity/, /^$/],
      [["warm", "-h"], 0, /^usage: npm run nixport -- warm /, /^$/],
      [["warm"], 2, /^$/, /^nixport: no image is named\nusage: /],
      [["warm", "UPPER"], 2, /^$/, /^nixport: "UPPER" /],
      [["warm", "--form", "xz", "git"], 2, /^$/, /^nixport: --form is xz: zstd, gzip, docker\n$/],
      [["warm", "--at-once", "0", "git"], 2, /^$/, /^nixport: --at-once is "0"/],
      [["warm", "-f", "/nowhere/list"], 1, /^$/, /^nixport: ENOENT: .*'\/nowhere\/list'\n$/],
      [
        ["warm", "--wait", "1", "127.0.0.1:1/git"],
        1,
        /^$/,
        /^git:latest: asking for it\ngit:latest: gives no whole answer: .*\nnixport: 1 of 1 images/,
      ],
      [["status"], 2, /^$/, /^nixport: one image is needed\nusage: /],
      [["status", "127.0.0.1:1/git"], 1, /^$/, /^nixport: git:latest: .*\n$/],
      [[], 2, /^$/, /^nixport: a command is missing\nusage: /],
      [["polularity"], 2, /^$/, /^nixport: no command "polularity"\nusage: /],
      [["constructor"], 2, /^$/, /^nixport: no command "constructor"\nusage: /],
      [["popularity", "--chache", "x"], 2, /^$/, /^nixport: Unknown option '--chache'/],
      [["popularity", "x"], 2, /^$/, /^nixport: Unexpected argument 'x'/],
      [["popularity", "--out"], 2, /^$/, /^nixport: Option '--out <value>' argument missing/],
      [
        ["popularity", "--store-paths", "x", "--cache", "file:///"],
        2,
        /^$/,
        /^nixport: --cache is /,
      ],
      [
        ["popularity", "--store-paths", "x", "--concurrency", "0"],
        2,
        /^$/,
        /^nixport: --concurrency is "0"/,
      ],
      [
        ["popularity", "--store-paths", "/nowhere/list"],
        1,
        /^$/,
        /^nixport: ENOENT: no such file or directory, open '\/nowhere\/list'\n$/,
      ],
    ];
  for (const [args, code, stdout, stderr] of usage) {
    test(`${args.join(" ") || "without arguments"} ends with ${code}`, async () => {
      const result = await ended(start(args));
      expect(result.stdout).toMatch(stdout);
      expect(result.stderr).toMatch(stderr);
      expect(result.code).toBe(code);
    });
  }
});
