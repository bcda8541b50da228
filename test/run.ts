// `npm test`: installs what the tests need, runs every test file, and says in its last line what
// ran. A tool that cannot be had skips the tests that need it, by name; in CI that is a failure.

import { existsSync, globSync } from "node:fs";

import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";
import { prepareHost } from "../origin/command/host.ts";
import { ensureTools, type Tool } from "../origin/command/host-packages.ts";
import { HostProblem } from "../origin/command/host-problem.ts";
import { statePathOf } from "../origin/command/local-environment.ts";

const HELP = `usage: npm test [-- FILTER ...]

Runs the test files whose path holds one of the filters; all of them without one.
`;

/** What only tests use: the clients that pull, and what lets them unpack and run as root. */
const TEST_TOOLS: readonly Tool[] = [
  ["skopeo", "skopeo"],
  ["podman", "podman"],
  ["runc", "runc"],
  ["umoci", "umoci"],
  ["zstd", "zstd"],
  ["containerd", "containerd"],
  ["ctr", "containerd"],
  ["dockerd", "docker.io"],
  ["git", "git"],
  // What the stand-ins of the outside world need (test/stand-ins): certificates, and a shell that
  // runs in a sandbox.
  ["openssl", "openssl"],
  ["busybox", "busybox-static"],
  ["script", "bsdutils"],
  // A minimal Debian has neither.
  ["mount", "mount"],
  ["umount", "mount"],
  // Makes the roots of other machines, which test/hosts runs in.
  ["mmdebstrap", "mmdebstrap"],
  ["patchelf", "patchelf"],
];
/** Up to bookworm docker.io has them. */
const DOCKER_TOOLS: readonly Tool[] = [
  ["docker", "docker-cli"],
  ["docker-buildx", "docker-buildx"],
];
const DOCKER_PLUGINS = "/usr/libexec/docker/cli-plugins";
/** Files that need a tool, by folder. The tests in them skip themselves where it is missing. */
const FILES = "test/**/*.test.ts";
const FILE_DEADLINE_MS = 8 * 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: "boolean", short: "h" } },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const say = (line: string) => process.stdout.write(`${line}\n`);
const missing = await installTools();
const files = globSync(FILES)
  .filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) fail("no test file matches");

const counts = { passed: 0, failed: 0, skipped: 0 };
const skipped: string[] = [];
const startedMs = performance.now();
const stream = run({ files, concurrency: 2, timeout: FILE_DEADLINE_MS });
stream.on("test:pass", ({ name, skip, details }) => {
  // The tests of a suite that is skipped are not told of.
  if (details.type === "suite" && skip === undefined) return;
  if (skip === undefined) counts.passed += 1;
  else {
    counts.skipped += 1;
    skipped.push(typeof skip === "string" ? `${name}: ${skip}` : name);
  }
});
stream.on("test:fail", ({ details }) => {
  if (details.type !== "suite") counts.failed += 1;
});
stream.compose(new spec()).pipe(process.stdout);
await new Promise((resolve) => stream.once("end", resolve));
await new Promise((resolve) => setImmediate(resolve));

for (const name of skipped) say(`skipped: ${name}`);
const seconds = Math.round((performance.now() - startedMs) / 1000);
say(`ran ${files.length} files in ${seconds} s${missing.length ? `, without ${missing}` : ""}`);
say(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
const skippedInCi = process.env.CI === "true" && counts.skipped > 0;
if (skippedInCi) say("in CI a skipped test is a failure");
process.exit(counts.failed > 0 || counts.passed === 0 || skippedInCi ? 1 : 0);

/** The names of tools that could not be installed. */
async function installTools(): Promise<readonly string[]> {
  const env = process.env as Record<string, string>;
  const path = (env.PATH ?? "").split(":");
  const isThere = (program: string) => path.some((folder) => existsSync(join(folder, program)));
  try {
    // Also generates the Debian-backed set, whose builders' tools come with it.
    await prepareHost(process.env, statePathOf(process.env), say);
    await ensureTools(TEST_TOOLS, env, say);
    if (!isThere("docker")) await ensureTools(DOCKER_TOOLS, env, say, [...path, DOCKER_PLUGINS]);
    return [];
  } catch (error) {
    if (!(error instanceof HostProblem)) throw error;
    say(error.message);
    const names = ["nix-store", ...TEST_TOOLS.map(([program]) => program), "docker"];
    return names.filter((program) => !isThere(program));
  }
}

function fail(message: string): never {
  say(message);
  process.exit(1);
}
