// Runs a command in a world that stands in for the real one, or keeps one open for commands in other
// terminals. docs/stand-ins.md tells the rest.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { CONTROL_HELP, type Obey, obeyIn } from "./control.ts";
import { missingWorld, openWorld, type World } from "./world.ts";

const HELP = `usage: node test/stand-ins/run.ts [OPTION ...] [-- COMMAND [ARGUMENT ...]]

Runs the command where github.com, cache.nixos.org and channels.nixos.org are made up, on this
machine; without a command, until Ctrl-C.

  --packages N      how many packages are invented besides those with known names (3000)
  --minver VERSION  the oldest Nix that evaluates the set (2.18.0)
  --wording WHICH   how refusals are worded: old, new or problems (new)
  --salt TEXT       other texts give other store paths, which nothing has yet (stand-ins)
  --own-store       the command sees a fresh /nix, which goes with the world
  --control PORT    where it is told what goes wrong (8790):

${CONTROL_HELP}`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    packages: { type: "string", default: "3000" },
    minver: { type: "string", default: "2.18.0" },
    wording: { type: "string", default: "new" },
    salt: { type: "string", default: "stand-ins" },
    "own-store": { type: "boolean", default: false },
    control: { type: "string", default: "8790" },
    help: { type: "boolean", short: "h", default: false },
  },
});
const missing = missingWorld();
const { wording } = values;
const isWording = wording === "old" || wording === "new" || wording === "problems";
if (values.help || missing !== false || !isWording) {
  process.stdout.write(values.help || missing === false ? HELP : `${missing}\n`);
  process.exit(values.help ? 0 : 1);
}

const world = await openWorld(() => undefined, {
  packages: Number(values.packages),
  minver: values.minver,
  ...{ wording, salt: values.salt, ownStore: values["own-store"] },
});
const controlUrl = await startControl(obeyIn(world), Number(values.control));
const enter = writeEnter(world);
process.stderr.write(`the world is open: faults by  curl --data 'mend' ${controlUrl}
more commands run in it by  ${enter} COMMAND
`);
process.exitCode = await runCommand(positionals);
await world.close();
process.exit();

/** The command's exit code. One Ctrl-C of a terminal reaches the command too, and ends it first. */
async function runCommand([program, ...args]: readonly string[]): Promise<number> {
  const stopped = Promise.withResolvers<number>();
  const child =
    program === undefined ? undefined : spawn(enter, [program, ...args], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => (child === undefined ? stopped.resolve(0) : child.kill(signal)));
  }
  child?.once("exit", (code) => stopped.resolve(code ?? 1));
  return await stopped.promise;
}

async function startControl(obey: Obey, port: number): Promise<string> {
  const server = createServer(async (request, response) => {
    const line = await text(request);
    response.end(await obey(line).catch((error) => `${error}\n`));
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A program that runs another one in the world; it goes with it. */
function writeEnter({ launcher, env, hostsFile }: World): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const variables = Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`);
  const file = join(dirname(hostsFile), "enter");
  const script = ["#!/bin/sh", ...variables, `exec ${launcher.map(quoted).join(" ")} "$@"`, ""];
  writeFileSync(file, script.join("\n"), { mode: 0o755 });
  return file;
}
