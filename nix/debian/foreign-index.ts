// The index of an architecture that the machine's own apt does not follow, fetched by apt with a
// private configuration: its own state and sources, so that the host's are left alone.

import { access, chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AptIndex, AptIndexAbsent, readAptIndex } from "./apt-index.ts";
import { run } from "./run.ts";

const KEYRINGS = ["gpg", "pgp"].map((end) => `/usr/share/keyrings/debian-archive-keyring.${end}`);
// 9 MB, and of a dead mirror nothing: a start must not wait for it for long.
const UPDATE_DEADLINE_MS = 60_000;
const CONNECT_TIMEOUT_SECONDS = 10;

interface Archive {
  readonly url: string;
  readonly suite: string;
  readonly component: string;
}

// Throws AptIndexAbsent where apt follows no archive of Debian, CommandError where none answers.
export async function fetchForeignIndex(architecture: string): Promise<AptIndex> {
  const archives = await followedArchives();
  if (archives.length === 0) throw new AptIndexAbsent(architecture);
  const work = await mkdtemp(join(tmpdir(), "nixport-apt-"));
  try {
    // apt downloads as a user of its own.
    await chmod(work, 0o755);
    await mkdir(join(work, "state/lists/partial"), { recursive: true });
    const sources = join(work, "sources.list");
    const keyring = await firstPresent(KEYRINGS);
    await writeFile(sources, sourcesList(architecture, archives, keyring));
    const options = privateOptions(architecture, work, sources);
    await run("apt-get", [...options, "update"], { timeoutMs: UPDATE_DEADLINE_MS });
    return await readAptIndex(architecture, options);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

// Debian's archives that the host's apt follows: the same mirrors, for another architecture.
async function followedArchives(): Promise<readonly Archive[]> {
  const targets = await run("apt-get", [
    "indextargets",
    "--format",
    "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
    "Created-By: Packages",
  ]);
  const lines = new Set(targets.split("\n"));
  return [...lines].flatMap((line) => {
    const [origin, url, suite, component] = line.split("|");
    if (origin !== "Debian" || !url || !suite || !component) return [];
    return [{ url, suite, component }];
  });
}

// `target=Packages` leaves out what else a host may fetch, such as 4 MB of DEP-11.
export function sourcesList(
  architecture: string,
  archives: readonly Archive[],
  keyring: string | undefined,
): string {
  const signed = keyring === undefined ? "" : ` signed-by=${keyring}`;
  const options = `[arch=${architecture} target=Packages lang=none${signed}]`;
  return archives
    .map(({ url, suite, component }) => `deb ${options} ${url} ${suite} ${component}\n`)
    .join("");
}

function privateOptions(architecture: string, work: string, sources: string): readonly string[] {
  return [
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    `Dir::State=${join(work, "state")}`,
    "Dir::State::status=/dev/null",
    `Dir::Cache=${join(work, "cache")}`,
    `Dir::Etc::sourcelist=${sources}`,
    "Dir::Etc::sourceparts=-",
    `Acquire::http::Timeout=${CONNECT_TIMEOUT_SECONDS}`,
    `Acquire::https::Timeout=${CONNECT_TIMEOUT_SECONDS}`,
    "Acquire::Retries=0",
    // Without it an index that cannot be fetched is a warning, and the exit code 0.
    "APT::Update::Error-Mode=any",
  ].flatMap((option) => ["-o", option]);
}

async function firstPresent(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return undefined;
}
