// What only root may do on a machine: done by whoever starts us, or by a sudo that asks for no
// password. Where neither can, all of it is told at once, as commands to run by hand.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { runProcess } from "../nix/spawn.ts";
import { HostProblem } from "./host-problem.ts";

/** Nothing is asked on the terminal: who starts a service has none. */
export type Env = Readonly<Record<string, string>>;
export type Say = (line: string) => void;
type Command = readonly string[];

export interface RootStep {
  /** Said before it is done. */
  readonly what: string;
  /** What does it, in order. */
  readonly commands: readonly Command[];
  /** Tried before all of `commands`: it alone may do. */
  readonly shortcut?: Command;
}

const DEADLINE_MS = 15 * 60_000;
const SUDO_DEADLINE_MS = 10_000;
const MAX_STEPS = 10;
const LAST_LINES = 5;

/**
 * Does the first step of the plan and asks for the plan again until it is empty: a step may do what
 * others were for, as installing Nix brings its build users. Throws HostProblem with what there is
 * to do where nothing of it can be done here.
 */
export async function carryOut(
  plan: () => Promise<readonly RootStep[]>,
  env: Env,
  say: Say,
): Promise<void> {
  let done: string | undefined;
  for (let count = 0; count < MAX_STEPS; count++) {
    const steps = await plan();
    const [step] = steps;
    if (step === undefined) return;
    const prefix = await rootPrefix(env);
    if (typeof prefix === "string") throw new HostProblem(byHand(steps, prefix));
    if (step.what === done) throw new HostProblem(`${step.what}: done, and it is as it was before`);
    say(step.what);
    await perform(step, prefix, env);
    done = step.what;
  }
  throw new HostProblem(`the machine is not as it should be after ${MAX_STEPS} steps`);
}

async function perform(step: RootStep, prefix: Command, env: Env): Promise<void> {
  if (step.shortcut !== undefined && (await run([...prefix, ...step.shortcut], env)) === undefined)
    return;
  for (const command of step.commands) {
    const failed = await run([...prefix, ...command], env);
    if (failed !== undefined) throw new HostProblem(`${shown(command)} failed: ${failed}`);
  }
}

/** What went wrong, in the command's own last words. */
async function run([program = "", ...args]: Command, env: Env): Promise<string | undefined> {
  const result = await runProcess(program, args, {
    env: { ...env, DEBIAN_FRONTEND: "noninteractive" },
    deadlineMs: DEADLINE_MS,
  });
  if (result.kind !== "exited") return result.kind;
  if (result.code === 0) return undefined;
  return result.stderr.trim().split("\n").slice(-LAST_LINES).join("\n");
}

/** What makes a command root's; else why there is nothing that does. */
async function rootPrefix(env: Env): Promise<Command | "no-sudo" | "sudo-asks"> {
  if (isRoot()) return [];
  if (!hasProgram("sudo", env)) return "no-sudo";
  const prefix = ["sudo", "--non-interactive"];
  const asked = await runProcess("sudo", ["--non-interactive", "true"], {
    ...{ env, deadlineMs: SUDO_DEADLINE_MS },
  });
  return asked.kind === "exited" && asked.code === 0 ? prefix : "sudo-asks";
}

function byHand(steps: readonly RootStep[], why: "no-sudo" | "sudo-asks"): string {
  const commands = steps.flatMap((step) => step.commands);
  const sudo = why === "no-sudo" ? "" : "sudo ";
  const lines = [...new Set(commands.map((command) => `  ${sudo}${shown(command)}`))];
  const who = why === "no-sudo" ? "as root, since there is no sudo" : "sudo asks for a password";
  return `this machine needs what only root may do; run this once (${who}), then start again:\n${lines.join("\n")}`;
}

/** As a shell takes it. */
function shown(command: Command): string {
  return command
    .map((word) => (/^[\w./:=@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

export function hasProgram(program: string, env: Env, more: readonly string[] = []): boolean {
  const folders = (env.PATH ?? "/usr/local/bin:/usr/bin:/bin").split(delimiter);
  return [...folders, ...more].some((folder) => canUse(join(folder, program), constants.X_OK));
}

/** Whether this user may do with a file what `mode` says; without it, read and change it. */
export function canUse(path: string, mode: number = constants.R_OK | constants.W_OK): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    // Not there, or not for us.
    return false;
  }
}
