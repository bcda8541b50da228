// `npm run nixport -- password`: what a policy keeps of a password, or a new secret for a robot.

import { once } from "node:events";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";
import {
  hashPassword,
  MAX_ITERATIONS,
  MIN_ITERATIONS,
  makeSecret,
} from "../../registry/access/password.ts";
import { fail, UsageError } from "./process.ts";
import type { Subcommand } from "./subcommand.ts";

const HELP = `usage: npm run nixport -- password [--rounds <number>]
       npm run nixport -- password --robot

Reads a password, a line of standard input, and prints what NIXPORT_POLICY keeps of it: the value of
"password" of a user. With --robot it makes a secret that nobody can guess, and prints that and the value
of "secret" of a robot, which costs nothing to compare.

  --rounds <number>  of PBKDF2, ${MIN_ITERATIONS} to ${MAX_ITERATIONS} (${MAX_ITERATIONS}); fewer where a Worker may take 10 ms of a
                     processor, as on Cloudflare's free plan: then choose a long password
  --robot            make a secret
`;

const MIN_PASSWORD_LENGTH = 8;
const MAX_PASSWORD_LENGTH = 1024;

export const password: Subcommand = {
  summary: "what a policy keeps of a password, or a secret for a robot",
  help: HELP,
  run: async (args, { signal }) => {
    const { values } = parseArgs({
      args: [...args],
      options: { rounds: { type: "string" }, robot: { type: "boolean" } },
    });
    if (values.robot && values.rounds !== undefined) {
      throw new UsageError("--rounds is of passwords: a robot's secret needs none");
    }
    const rounds = readRounds(values.rounds);
    if (values.robot) {
      const { secret, hash } = await makeSecret();
      process.stdout.write(`secret, for the robot: ${secret}\nhash, for the policy: ${hash}\n`);
      return;
    }
    process.stdout.write(`${await hashPassword(await readPassword(signal), rounds)}\n`);
  },
};

function readRounds(text = String(MAX_ITERATIONS)): number {
  const rounds = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (rounds >= MIN_ITERATIONS && rounds <= MAX_ITERATIONS) return rounds;
  throw new UsageError(`--rounds: a number from ${MIN_ITERATIONS} to ${MAX_ITERATIONS}`);
}

/** Nothing that is typed is shown, or it would stay on the screen. */
async function readPassword(signal: AbortSignal): Promise<string> {
  const { stdin, stderr } = process;
  if (stdin.isTTY) stderr.write("password: ");
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output, terminal: stdin.isTTY === true });
  // readline takes Ctrl-C of a terminal for itself.
  lines.once("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    const [line] = await Promise.race([
      once(lines, "line", { signal }),
      once(lines, "close", { signal }).then(() => [""]),
    ]);
    const text = String(line);
    if (text.length >= MIN_PASSWORD_LENGTH && text.length <= MAX_PASSWORD_LENGTH) return text;
    return fail(`a password has ${MIN_PASSWORD_LENGTH} to ${MAX_PASSWORD_LENGTH} characters`);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    lines.close();
    if (stdin.isTTY) stderr.write("\n");
  }
}
