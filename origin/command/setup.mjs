// The first step of every npm script: makes a fresh checkout runnable, then runs the command on
// Node 24. Plain JavaScript without dependencies, since it is what a machine's own Node 20 runs.
// The scripts start it with `exec`, else npm's SIGTERM ends the shell between them and never comes
// here.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const node = join(root, "node_modules/node/bin/node");
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
run();

function installPackages() {
  const lock = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
  const wanted = lock.digest("hex");
  if (existsSync(node) && existsSync(marker) && readFileSync(marker, "utf8") === wanted) return;
  console.error("nixport: installing npm packages");
  // npm names its own program to its scripts; started by hand, the one on PATH must do.
  const npm = process.env.npm_execpath;
  const [program, ...before] = npm ? [process.execPath, npm] : ["npm"];
  // Not `npm ci`: it refuses a lock file in which a registry mirror left out the optional packages
  // of other platforms. The versions are the lock file's all the same, and it is not written.
  const options = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  const result = spawnSync(program, [...before, ...options], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (result.status !== 0 || !existsSync(node)) {
    console.error("nixport: npm install failed; see its messages above");
    process.exit(1);
  }
  writeFileSync(marker, wanted);
}

function run() {
  const path = `${dirname(node)}:${join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}`;
  const child = spawn(node, [join(root, script), ...args], {
    stdio: "inherit",
    // Node keeps what it compiled of our modules, types stripped: starts are twice as fast.
    env: { NODE_COMPILE_CACHE: join(root, "node_modules/.cache/node"), ...process.env, PATH: path },
  });
  // A terminal's Ctrl-C reaches the child by itself too; its handler takes the second as the first.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("error", (error) => {
    console.error(`nixport: ${node} did not start: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
}
