// `nixport doctor`: one page of what is there and what is wrong, without changing anything.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readLogStyle } from "../configuration/log-style.ts";
import { openVariables } from "../configuration/variables.ts";
import { allChecks } from "../doctor/checks.ts";
import { examine } from "../doctor/examine.ts";
import type { Finding } from "../doctor/finding.ts";
import { formatPage } from "../doctor/page.ts";
import { openSubject } from "../doctor/subject.ts";
import { debianSetNixConfig, nixpkgsAnswers } from "./host.ts";
import { existingEnvironment, statePathOf } from "./local-environment.ts";
import { fail } from "./process.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";

const HELP = `usage: npm run nixport -- doctor [--json]

Looks at this machine as an origin would find it, configured by the environment as for npm run
origin: Nix, the package source, binary caches, storage, the edge, and this machine's limits. A line
for each: ok, warning, failed or not checked, what was seen, and what to do. Exit code 0: nothing
failed. 1: something did. 2: bad usage.

  --json   an object with "findings", each with group, check, state, about, saw and toDo

Nothing is installed or configured. The source is asked for one package, for which Nix may fetch it,
and a small file is written to the storage and removed.
`;

export const doctor: Subcommand = {
  summary: "look at this machine, and say what is wrong and what to do",
  help: HELP,
  run: async (args, context) => {
    const { values } = parseArgs({ args: [...args], options: { json: { type: "boolean" } } });
    const findings = await findingsOf(context);
    context.signal.throwIfAborted();
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ findings }, null, 2)}\n`
        : formatPage(findings, wantsColours(context)),
    );
    const count = findings.filter(({ state }) => state === "failed").length;
    if (count > 0) fail(`${count} ${count === 1 ? "check" : "checks"} failed`);
  },
};

async function findingsOf({ env, signal }: CommandContext): Promise<readonly Finding[]> {
  const scratchPath = await mkdtemp(join(tmpdir(), "nixport-doctor-"));
  try {
    const subject = openSubject({
      env: await existingEnvironment(env, scratchPath),
      statePath: statePathOf(env),
      isEdgeAssumed: !env.NIXPORT_EDGE_URL?.trim(),
      ...{ nixpkgsAnswers, debianSetNixConfig, signal },
    });
    return await examine(allChecks(subject), signal);
  } finally {
    await rm(scratchPath, { recursive: true, force: true });
  }
}

function wantsColours({ env }: CommandContext): boolean {
  return readLogStyle(openVariables(env)).colours ?? process.stdout.isTTY === true;
}
