// `npm run deploy`: the checks of the checkout, the size of the Worker, then wrangler's own deploy.

import { spawnSync } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { endWith, fail, UsageError } from "./process.ts";

const HELP = `usage: npm run deploy -- [--env staging|production] [OPTION ...] [-- ARGUMENT OF WRANGLER ...]

Checks what is checked out (npm run check), bundles the Worker, refuses one that has grown too large, and
deploys it with wrangler. KV and R2 are made by the first deploy. Without --env it is the Worker at the top of
wrangler.toml, which a Deploy button makes.

  --env NAME            staging or production: a Worker, a namespace and a bucket of its own
  --secrets-file FILE   the secrets of the first deploy, as .dev.vars.example has them; later ones keep them
  --var NAME:VALUE      instead of what wrangler.toml says, as often as there are any
  --checked             without the checks, where they were run already
  --dry-run             everything but the deploy itself
`;

const ROOT = join(import.meta.dirname, "../..");
const WRANGLER = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
/** An isolate starts within a second, and the free plan takes 3 MB compressed: this is far below both. */
const MAX_BUNDLE_KIB = 400;

await endWith(async () => {
  const { values, positionals } = parseArgs({
    options: {
      help: { type: "boolean", short: "h" },
      env: { type: "string" },
      "secrets-file": { type: "string" },
      var: { type: "string", multiple: true, default: [] },
      checked: { type: "boolean", default: false },
      "dry-run": { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  if (values.env && !/^(?:staging|production)$/.test(values.env)) {
    throw new UsageError(`--env is staging or production, not ${values.env}`);
  }
  if (!values.checked) run("the checks failed", [join(ROOT, "test/check.ts")]);
  const file = values["secrets-file"];
  const args = [
    ...["deploy", "--env", values.env ?? ""],
    ...values.var.flatMap((text) => ["--var", text]),
    ...(file === undefined ? [] : ["--secrets-file", file]),
    ...positionals,
  ];
  await requireSmall(args);
  if (!values["dry-run"]) run("wrangler did not deploy it", [WRANGLER, ...args]);
});

/** Has wrangler say what it would deploy, and to what it would bind it. */
async function requireSmall(args: readonly string[]): Promise<void> {
  const outDir = await mkdtemp(join(tmpdir(), "nixport-deploy-"));
  try {
    run("wrangler did not bundle it", [WRANGLER, ...args, "--dry-run", "--outdir", outDir]);
    const kib = (await stat(join(outDir, "worker.js"))).size / 1024;
    process.stdout.write(`bundle: ${kib.toFixed(1)} KiB of ${MAX_BUNDLE_KIB} KiB\n`);
    if (kib > MAX_BUNDLE_KIB) fail(`the Worker has more than ${MAX_BUNDLE_KIB} KiB`);
  } finally {
    await rm(outDir, { recursive: true, force: true });
  }
}

function run(failed: string, command: readonly string[]): void {
  const { status } = spawnSync(process.execPath, command, { cwd: ROOT, stdio: "inherit" });
  if (status !== 0) fail(failed);
}
