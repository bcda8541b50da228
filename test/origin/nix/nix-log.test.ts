// Nix's internal-json log: recorded lines of 2.8, and of newer versions where they differ.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { parseBuildErrors } from "../../../origin/nix/nix-error.ts";
import { createNixLog, type NixLog } from "../../../origin/nix/nix-log.ts";
import { runProcess } from "../../../origin/nix/spawn.ts";

const BAD = "/nix/store/j09gan1a7plfw916w7la7rq8n6bqmf1j-bad-1.drv";
const SLOW = "/nix/store/f3mizf1bnnabcplwizrv7jj3rbj5vq9h-slow-1.drv";
const BIG = "/nix/store/1x2l765dnkc41xpgjcpf6h415vaqcfp8-big-1";
const ESC = "\\u001b";

/** 2.8: four builds of which one fails and one exceeds its time. */
const BUILDING = `
@nix {"action":"start","id":96490735271936,"level":6,"text":"querying info about missing paths","type":0}
@nix {"action":"stop","id":96490735271936}
@nix {"action":"msg","level":3,"msg":"these 4 derivations will be built:"}
@nix {"action":"start","id":96490735271937,"level":0,"text":"","type":102}
@nix {"action":"start","id":96490735271938,"level":0,"text":"","type":104}
@nix {"action":"start","id":96490735271939,"level":0,"text":"","type":103}
@nix {"action":"result","fields":[0,4,0,0],"id":96490735271938,"type":105}
@nix {"action":"result","fields":[0,0,0,0],"id":96490735271939,"type":105}
@nix {"action":"result","fields":[101,0],"id":96490735271937,"type":106}
@nix {"action":"result","fields":[100,0],"id":96490735271937,"type":106}
@nix {"action":"start","fields":["${BAD}","",1,1],"id":96490735271941,"level":3,"text":"building '${BAD}'","type":105}
@nix {"action":"result","fields":["first"],"id":96490735271941,"type":101}
@nix {"action":"result","fields":["last"],"id":96490735271941,"type":101}
@nix {"action":"start","fields":["${SLOW}","",1,1],"id":96490735271943,"level":3,"text":"building '${SLOW}'","type":105}
@nix {"action":"result","fields":[1,4,2,0],"id":96490735271938,"type":105}
@nix {"action":"result","fields":["begun"],"id":96490735271943,"type":101}`;

const FAILED = `
@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"${ESC}[31;1merror:${ESC}[0m builder for '${ESC}[35;1m${BAD}${ESC}[0m' failed with exit code 7","raw_msg":"builder failed"}
@nix {"action":"stop","id":96490735271941}
@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"${ESC}[31;1merror:${ESC}[0m ${ESC}[35;1mbuilding of '${SLOW}!*' from .drv file${ESC}[0m timed out after ${ESC}[35;1m2${ESC}[0m seconds","raw_msg":"timed out"}
@nix {"action":"stop","id":96490735271943}
@nix {"action":"stop","id":96490735271938}
@nix {"action":"stop","id":96490735271937}`;

/** 2.8: a path from a cache, over HTTP. */
const COPYING = `
@nix {"action":"start","id":24833500905476,"level":0,"text":"","type":102}
@nix {"action":"start","id":24833500905477,"level":0,"text":"","type":104}
@nix {"action":"result","fields":[0,1,0,0],"id":24833500905477,"type":105}
@nix {"action":"result","fields":[101,5000464],"id":24833500905476,"type":106}
@nix {"action":"result","fields":[100,5000464],"id":24833500905476,"type":106}
@nix {"action":"start","fields":["${BIG}","http://127.0.0.1:18471"],"id":24833500905480,"level":0,"text":"","type":108}
@nix {"action":"start","fields":["${BIG}","http://127.0.0.1:18471","local"],"id":24833500905481,"level":3,"text":"copying path '${BIG}' from 'http://127.0.0.1:18471'","type":100}
@nix {"action":"start","fields":["http://127.0.0.1:18471/nar/1zn0.nar"],"id":24833500905482,"level":4,"text":"downloading 'http://127.0.0.1:18471/nar/1zn0.nar'","type":101}
@nix {"action":"result","fields":[65536,5000464,0,0],"id":24833500905482,"type":105}
@nix {"action":"result","fields":[131072,5000464,0,0],"id":24833500905481,"type":105}`;

/** 2.8 and 2.26: a file whose server says how large it is, and one whose server does not. */
const FETCHING = `
@nix {"action":"start","fields":["https://h.example/x.tar.gz"],"id":86397562126336,"level":4,"text":"downloading 'https://h.example/x.tar.gz'","type":101}
@nix {"action":"result","fields":[0,0,0,0],"id":86397562126336,"type":105}
@nix {"action":"result","fields":[500000,3000859,0,0],"id":86397562126336,"type":105}`;
const UNMEASURED = `
@nix {"action":"start","fields":["https://h.example/y"],"id":86397562126337,"level":4,"parent":0,"text":"downloading 'https://h.example/y'","type":101}
@nix {"action":"result","fields":[70000,0,0,0],"id":86397562126337,"type":105}`;

/** Newer versions name the parent of an activity, and say in an error what built and why it failed. */
const NEWER = `
@nix {"action":"start","fields":["${BAD}","",1,1],"id":4294967297,"level":3,"parent":0,"text":"building '${BAD}'","type":105}
@nix {"action":"result","fields":["unpackPhase"],"id":4294967297,"type":104}
@nix {"action":"result","fields":["last"],"id":4294967297,"type":101}
@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"${ESC}[31;1merror:${ESC}[0m Cannot build '${ESC}[35;1m${BAD}${ESC}[0m'.\\n       Reason: ${ESC}[31;1mbuilder failed with exit code 1${ESC}[0m.\\n       Output paths:\\n         ${BIG}","raw_msg":"x"}
@nix {"action":"stop","id":4294967297}`;

function read(...recorded: readonly string[]): NixLog {
  const log = createNixLog();
  for (const line of recorded.join("\n").split("\n")) if (line !== "") log.read(line);
  return log;
}

describe("the log of Nix", () => {
  test("says which builders run, how many builds are done, and how many are to come", () => {
    expect(read(BUILDING).progress().builds).toStrictEqual({
      done: 1,
      expected: 4,
      running: ["bad-1", "slow-1"],
    });
    expect(read(BUILDING, FAILED).progress().builds).toStrictEqual({
      done: 1,
      expected: 4,
      running: [],
    });
  });

  test("counts the bytes of downloads, and what is to come where servers say so", () => {
    expect(createNixLog().transfers()).toStrictEqual({ doneBytes: 0, expectedBytes: 0 });
    const known = { doneBytes: 500_000, expectedBytes: 3_000_859 };
    expect(read(FETCHING).transfers()).toStrictEqual(known);
    const both = read(FETCHING, UNMEASURED).transfers();
    expect(both).toStrictEqual({ doneBytes: 570_000, expectedBytes: 0 });
    const ended = read(UNMEASURED, '@nix {"action":"stop","id":86397562126337}', FETCHING);
    expect(ended.transfers()).toStrictEqual({ doneBytes: 570_000, expectedBytes: 3_070_859 });
  });

  test("says how much is downloaded, and keeps what is through", () => {
    const downloads = { doneBytes: 131_072, expectedBytes: 5_000_464 };
    expect(read(COPYING).progress().downloads).toStrictEqual(downloads);
    const done = `
@nix {"action":"result","fields":[5000464,5000464,0,0],"id":24833500905481,"type":105}
@nix {"action":"stop","id":24833500905481}`;
    expect(read(COPYING, done).progress().downloads).toStrictEqual({
      doneBytes: 5_000_464,
      expectedBytes: 5_000_464,
    });
  });

  const versions: readonly [version: string, log: string, reason: RegExp, tail: string[]][] = [
    ["2.8", BUILDING + FAILED, /exit code 7/, ["first", "last"]],
    ["newer versions", NEWER, /exit code 1/, ["last"]],
  ];
  test.for(versions)(
    "gives the messages of %s as text that names what failed, and its last lines",
    ([, recorded, reason, tail]) => {
      const log = read(recorded);
      const [bad] = parseBuildErrors(log.messages());
      expect(bad?.derivation).toBe(BAD);
      expect(bad?.reason).toMatch(reason);
      expect(log.tailOf(BAD)).toStrictEqual(tail);
    },
  );

  test("knows a time-out by its message", () => {
    const errors = parseBuildErrors(read(BUILDING, FAILED).messages());
    expect(errors.map((error) => [error.derivation, error.timedOutAfterSeconds])).toStrictEqual([
      [BAD, null],
      [`${SLOW}`, 2],
    ]);
  });

  test("takes lines of another form for messages, and leaves out what it cannot read", () => {
    const log = read(
      "error: cannot connect to socket",
      "@nix {",
      '@nix {"action":"dance","id":1}',
      '@nix {"action":"result","id":1}',
      '@nix {"action":"stop","id":99}',
      '@nix {"action":"msg","level":3,"msg":"told for information"}',
      '@nix {"action":"msg","level":1,"msg":"warning: odd"}',
    );
    expect(log.messages()).toBe("error: cannot connect to socket\nwarning: odd\n");
    expect(log.progress()).toStrictEqual(createNixLog().progress());
  });

  test("keeps forty lines of a builder's output, and not all of a long one", () => {
    const line = (text: string) =>
      `@nix {"action":"result","fields":["${text}"],"id":96490735271941,"type":101}`;
    const many = Array.from({ length: 50 }, (_, index) => line(`line ${index}`)).join("\n");
    const tail = read(BUILDING, many, line("x".repeat(5000))).tailOf(BAD);
    expect(tail).toHaveLength(40);
    expect(tail[0]).toBe("line 11");
    expect(tail[39]?.length).toBe(1000);
  });
});

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

function keptBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe("100 MiB of a builder's output", { timeout: 120_000 }, () => {
  const prefix = `@nix {"action":"result","fields":["`;
  const outputs: readonly [what: string, script: string][] = [
    ["in lines", `yes '${prefix}${"x".repeat(100)}"],"id":1,"type":101}'`],
    ["in one line", `printf '${prefix}'; tr '\\0' x < /dev/zero`],
    ["of messages", `yes '@nix {"action":"msg","level":0,"msg":"error: ${"x".repeat(200)}"}'`],
  ];
  test.for(outputs)("%s passes through a few of memory", async ([, script]) => {
    const log = createNixLog();
    log.read(`@nix {"action":"start","fields":["${BAD}","",1,1],"id":1,"type":105}`);
    const startBytes = keptBytes();
    let peakBytes = startBytes;
    const sampler = setInterval(() => {
      peakBytes = Math.max(peakBytes, keptBytes());
    }, 100);
    const result = await runProcess("/bin/sh", ["-c", `{ ${script}; } | head -c 104857600 >&2`], {
      env: { PATH: "/usr/bin:/bin" },
      deadlineMs: 100_000,
      onStderrLine: log.read,
    });
    clearInterval(sampler);
    expect(result.kind).toBe("exited");
    const grownMiB = (peakBytes - startBytes) / 1024 ** 2;
    expect(grownMiB, `${grownMiB} MiB`).toBeLessThan(40);
    const kept = JSON.stringify(log.tailOf(BAD)).length + log.messages().length;
    expect(kept, String(kept)).toBeLessThan(300_000);
  });
});
