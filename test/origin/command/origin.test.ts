// `npm run origin` as a process.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { plantSet } from "../house.ts";
import { plantNix } from "../nix/fake-nix.ts";
import { untilEnded } from "../nix/fixture.ts";
import { createRepository } from "../sources/git-repository.ts";
import { startGitServer } from "../sources/git-server.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/origin.ts", import.meta.url));
const BROKEN = "{\n  cacert =\n";

type Started = ChildProcessByStdio<null, Readable, Readable>;

async function start(onEnd: Ending, variables: Readonly<Record<string, string>>): Promise<Started> {
  const statePath = await temporaryDirectory(onEnd);
  const child = spawn(process.execPath, [COMMAND], {
    env: {
      ...{ PATH: process.env.PATH ?? "", HOME: statePath, NIXPORT_LOG_LEVEL: "silent" },
      ...{ PORT: "0", NIXPORT_STATE: statePath, ...variables },
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onEnd(() => void child.kill("SIGTERM"));
  return child;
}

/** A folder with these files. */
async function plant(onEnd: Ending, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryDirectory(onEnd);
  await mkdir(join(folder, "lib"));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

describe("npm run origin", { timeout: 240_000 }, () => {
  test("ends at once with 0 when it is stopped while its source does not answer", async () => {
    const server = await startGitServer(onTestFinished, await temporaryDirectory(onTestFinished));
    server.hang();
    const child = await start(onTestFinished, { NIXERY_PKGS_REPO: server.url });
    const ended = once(child, "exit");
    await server.untilUnanswered(1);
    child.kill("SIGTERM");
    expect(await ended).toStrictEqual([0, null]);
  });

  test("ends at once with 0 when it is stopped while it fetches a newer Nix, and ends that", async () => {
    const folder = await temporaryDirectory(onTestFinished);
    const say = (event: string) => `echo '@nix {"action":${event}}' >&2`;
    const realise = [
      'echo $$ > "$0.pid"',
      say('"start","id":1,"type":100,"fields":[]'),
      say('"result","id":1,"type":105,"fields":[1,2,0,0]'),
      "exec sleep 600",
    ].join("\n");
    const bin = await plantNix(join(folder, "bin"), { version: "nix (Nix) 2.8.0", realise });
    const PATH = `${bin}:${process.env.PATH}`;
    const child = await start(onTestFinished, { PATH, NIXERY_CHANNEL: "nixos-unstable" });
    for await (const chunk of child.stdout) if (/fetching Nix/.test(String(chunk))) break;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    expect(await ended).toStrictEqual([0, null]);
    await untilEnded(Number(await readFile(join(bin, "nix-store.pid"), "utf8")));
  });

  const lines: readonly [
    words: string,
    variables: (onEnd: Ending) => Promise<Record<string, string>>,
    line: RegExp,
  ][] = [
    [
      "what it serves, where it can make images",
      async (t) => ({ NIXERY_PKGS_PATH: await plantSet(t) }),
      /^origin at http:\/\/127\.0\.0\.1:\d+, serving the package set at \S+\n$/,
    ],
    [
      "that its source does not answer",
      // Nobody listens at the lowest port of all.
      async () => ({ NIXERY_PKGS_REPO: "http://127.0.0.1:1/set.git" }),
      /, serving the git repository \S+, but the source does not answer: .*127\.0\.0\.1/,
    ],
    [
      "where a set under edit does not load",
      async (t) => ({ NIXERY_PKGS_PATH: await plant(t, { "default.nix": BROKEN }) }),
      /, but the package set does not load: syntax error, unexpected end of file.*\(default\.nix:[23]:\d+\)\n$/,
    ],
  ];
  test.for(lines)("says %s", async ([, variables, line]) => {
    const child = await start(onTestFinished, await variables(onTestFinished));
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (/^origin at .*\n/m.test(output)) break;
    }
    expect(output).toMatch(line);
  });

  const refusals: readonly [
    words: string,
    variables: (onEnd: Ending) => Promise<Record<string, string>>,
    message: RegExp,
  ][] = [
    [
      "a commit that does not load",
      async (t) => {
        const repository = await createRepository(t);
        const commit = await repository.commit(BROKEN);
        return { NIXERY_PKGS_REPO: `file://${repository.path}`, NIXPORT_DEFAULT_TAG: commit };
      },
      /^nixport: the package set does not load: syntax error.*\(default\.nix:[23]:\d+\)\n$/s,
    ],
    [
      "a set that needs a newer Nix than can be had",
      async (t) => ({
        NIXERY_PKGS_PATH: await plant(t, { "default.nix": "{ }", "lib/minver.nix": '"99.1"' }),
      }),
      /^nixport: Nix \S+ is here, the package set at \S+ needs 99\.1 or newer, and Nix 2\.\d+\.\d+ was not to be had: the newest that this program brings is \S+\. Let Nix reach .*\n$/,
    ],
    [
      "any source, where a daemon's Nix is of no use",
      async (t) => {
        const old = { version: "nix (Nix) 2.3.16", storeUrl: "daemon" };
        const bin = await plantNix(join(await temporaryDirectory(t), "bin"), old);
        return { PATH: `${bin}:${process.env.PATH}`, NIXERY_CHANNEL: "nixos-unstable" };
      },
      /^nixport: Nix 2\.3\.16 is here, nixpkgs nixos-unstable needs 2\.18 or newer, and Nix \S+ was not to be had: the store belongs to a daemon.*Whoever administers this machine has to upgrade Nix, as root: `nix-env .*\n$/,
    ],
    [
      "any source, with what is no Nix",
      async (t) => {
        const bin = await plantNix(join(await temporaryDirectory(t), "bin"), { version: "no" });
        return { PATH: `${bin}:${process.env.PATH}`, NIXERY_PKGS_PATH: await plantSet(t) };
      },
      /^nixport: nix --version answers "no", which is no version of Nix\. Install Nix: .*\n$/,
    ],
  ];
  test.for(refusals)("refuses %s, in one message", async ([, variables, message]) => {
    const child = await start(onTestFinished, await variables(onTestFinished));
    const [output, errors, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit"),
    ]);
    expect(errors).toMatch(message);
    expect(output).not.toMatch(/^origin at /m);
    expect(code).toBe(1);
  });
});
