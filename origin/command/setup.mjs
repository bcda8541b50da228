// The first step of every npm script: makes a fresh checkout runnable, then runs the command on
// Node 24 or newer. Plain JavaScript without dependencies, since it is what a machine's own Node 20 runs.
// The scripts start it with `exec`, else npm's SIGTERM ends the shell between them and never comes
// here; and on npm's own Node by its path, since `node` is the one below, which may not start.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
/**
 * The Node among npm's packages, made for glibc where that is usually found: on NixOS and Alpine it
 * does not start.
 */
const carriedNode = join(root, `node_modules/node-linux-${process.arch}/bin/node`);
const NODE_MAJOR = 24;
const PROBE_DEADLINE_MS = 10_000;
const PARENT_POLL_MS = 500;
/** Longer than npm start waits for its parts. */
const KILL_AFTER_MS = 25_000;
/**
 * Says which lock file the installed packages are of; written last, so a killed install is redone.
 */
const marker = join(root, "node_modules/.nixport-installed");

const [script, ...args] = process.argv.slice(2);
if (script === undefined) {
  console.error("usage: node origin/command/setup.mjs SCRIPT.ts [ARGUMENT ...]");
  process.exit(2);
}
installPackages();
run(chooseNode());

function installPackages() {
  const lock = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
  const wanted = lock.digest("hex");
  if (existsSync(marker) && readFileSync(marker, "utf8") === wanted && isWhole()) return;
  console.error("nixport: installing npm packages");
  let installed = npmInstall();
  if (!installed) {
    // The scripts of `workerd` and its like start what they have brought, which fails where that
    // does not run. Only the edge and `npm run check` need it.
    console.error("nixport: once more without the packages' install scripts");
    installed = npmInstall("--ignore-scripts");
  }
  if (!installed) fail("npm ci failed; see its messages above");
  writeFileSync(marker, wanted);
}

/** Without the packages' Node the machine's own must do, and does if it is new enough. */
function isWhole() {
  return existsSync(carriedNode) || isNewEnough(process.versions.node);
}

function npmInstall(...more) {
  // npm names its own program to its scripts; started by hand, the one on PATH must do.
  const npm = process.env.npm_execpath;
  const [program, ...before] = npm ? [process.execPath, npm] : ["npm"];
  const options = ["ci", "--no-audit", "--no-fund", "--loglevel=error", ...more];
  // npm keeps what it downloads below HOME, which a service often has none of.
  const hasHome = existsSync(process.env.HOME ?? "");
  if (!hasHome) options.push("--cache", join(root, "node_modules/.cache/npm"));
  const result = spawnSync(program, [...before, ...options], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  return result.status === 0;
}

/** The packages' Node, which nixport is tried with, if it starts here; else the machine's own. */
function chooseNode() {
  const probe = spawnSync(carriedNode, ["--version"], {
    encoding: "utf8",
    timeout: PROBE_DEADLINE_MS,
  });
  if (probe.status === 0 && isNewEnough(probe.stdout.trim().slice(1))) return carriedNode;
  if (isNewEnough(process.versions.node)) return process.execPath;
  fail(
    `Node ${NODE_MAJOR} or newer is needed: npm's does not start on this machine, and its own is ${process.versions.node}; docs/hosts.md says how to get one`,
  );
}

function isNewEnough(version) {
  return Number.parseInt(version, 10) >= NODE_MAJOR;
}

function run(node) {
  const path = `${dirname(node)}:${join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}`;
  // Node keeps what it compiled of our modules, types stripped: starts are twice as fast.
  const own = { NODE_COMPILE_CACHE: join(root, "node_modules/.cache/node"), ...process.env };
  const child = spawn(node, [join(root, script), ...args], {
    stdio: "inherit",
    env: { ...own, PATH: path, NIXPORT_PARENT: String(process.pid) },
  });
  // A terminal's Ctrl-C reaches the child by itself too; its handler takes the second as the first.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => child.kill(signal));
  }
  // npm that is killed passes no signal on, and nobody else would end what it was to run.
  if (process.env.npm_lifecycle_event !== undefined) endWithParent(child);
  child.on("error", (error) => {
    console.error(`nixport: ${node} did not start: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
}

function endWithParent(child) {
  const parent = process.ppid;
  const poll = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(poll);
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
  }, PARENT_POLL_MS);
}

function fail(why) {
  console.error(`nixport: ${why}`);
  process.exit(1);
}
