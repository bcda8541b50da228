// `nixport verify`: builds an image that a registry serves once more, and says whether it is the
// same.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { readConfig } from "../configuration/config.ts";
import { findNix } from "../nix/nix-tool.ts";
import { describeSource } from "../sources/source.ts";
import { differences } from "../verify/compare.ts";
import { fetchPublished } from "../verify/published.ts";
import { FORMS, rebuild, sourceAt } from "../verify/rebuild.ts";
import { type ImageReference, parseReference } from "../verify/reference.ts";
import { createRegistryClient } from "../verify/registry-client.ts";
import { edgeUrlOf, localEnvironment } from "./local-environment.ts";
import { fail, UsageError, wrongConfiguration } from "./process.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";

const DEFAULT_WAIT_SECONDS = 1800;
const MAX_WAIT_SECONDS = 86_400;

const HELP = `usage: npm run nixport -- verify [--registry URL] [--form FORM] [--wait SECONDS] [HOST/]NAME[:TAG]

Asks a registry for an image, builds the same recipe at the same revision with nix/image.nix, and
compares the digests. Exit code 0: equal. 1: not equal, or it could not be found out. 2: bad usage.

  --registry URL   the registry; HOST in the name means the same. Without either, the edge of
                   npm start on this machine
  --form FORM      zstd, gzip or docker: which form of the image to ask for
  --wait SECONDS   for how long to wait for a registry that still builds the image; ${DEFAULT_WAIT_SECONDS}

Packages come from the source that the environment configures, as for npm run origin; the popularity
data are the registry's. Another version of Node than the registry's may compress to other bytes.
`;

export const verify: Subcommand = {
  summary: "build an image that a registry serves once more, and compare",
  help: HELP,
  run: async (args, context) => {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        registry: { type: "string" },
        form: { type: "string" },
        wait: { type: "string" },
      },
    });
    const [text, ...more] = positionals;
    if (text === undefined || more.length > 0) throw new UsageError(`one image is needed\n${HELP}`);
    const { form, wait = String(DEFAULT_WAIT_SECONDS) } = values;
    const wanted = form === undefined ? null : VARIANTS.find((each) => FORMS[each] === form);
    if (wanted === undefined) {
      throw new UsageError(`--form is ${form}: ${VARIANTS.map((each) => FORMS[each]).join(", ")}`);
    }
    if (!/^\d{1,5}$/.test(wait) || Number(wait) > MAX_WAIT_SECONDS) {
      throw new UsageError(`--wait is ${wait}: seconds, up to ${MAX_WAIT_SECONDS}`);
    }
    const reference = parseReference(text, values.registry ?? null, edgeUrlOf(context.env));
    if (typeof reference === "string") throw new UsageError(`${text}: ${reference}`);
    await verifyImage({ reference, wanted, waitMs: 1000 * Number(wait) }, context);
  },
};

const say = (line: string) => process.stdout.write(`${line}\n`);

interface Question {
  readonly reference: ImageReference;
  readonly wanted: Variant | null;
  readonly waitMs: number;
}

async function verifyImage(
  { reference, wanted, waitMs }: Question,
  context: CommandContext,
): Promise<void> {
  const env = await localEnvironment(context.env, say);
  const read = readConfig(env);
  if (read.kind === "invalid") fail(wrongConfiguration(read.problems));
  const { config } = read;
  const { signal } = context;
  const registry = createRegistryClient({
    ...{ url: reference.registryUrl, waitMs, signal },
    onWait: (said) => process.stderr.write(`waiting: ${said}\n`),
  });
  const published = await fetchPublished(registry, reference, wanted);
  if (published.kind === "not-published") fail(published.reason);
  const { content, pin, popularity } = published;
  const { variant, architecture } = content;
  say(`registry: ${content.digest} (${variant}, ${pin})`);

  const { evaluationMemoryBytes } = config;
  const nix = await findNix({ env, evaluationMemoryBytes });
  if (nix === undefined) fail("no Nix on PATH");
  const source = await sourceAt(nix, config.source, config.nixpkgsConfig, pin, env, signal);
  signal.throwIfAborted();
  if (typeof source === "string") fail(`${describeSource(config.source)}: ${source}`);
  const workPath = await mkdtemp(join(tmpdir(), "nixport-verify-"));
  try {
    const built = await rebuild({
      ...{ nix, name: reference.name, source, variant, architecture, popularity, workPath, signal },
      deadlineMs: config.buildDeadlineMs,
    });
    signal.throwIfAborted();
    if (built.kind === "not-rebuilt") fail(`not built: ${built.reason}`);
    say(`here:     ${built.content.digest}`);
    const different = await differences(content, built.content);
    signal.throwIfAborted();
    if (different.length > 0) fail(`different\n${different.join("\n")}`);
    say("equal");
  } finally {
    await rm(workPath, { recursive: true, force: true });
  }
}
