// `nixport warm`: has images made before anybody pulls them, and waits until the edge has them.

import { createReadStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { createDeployment } from "../smoke/deployment.ts";
import { Fault } from "../smoke/fault.ts";
import type { Credentials } from "../smoke/login.ts";
import { FORMS } from "../verify/rebuild.ts";
import type { ImageReference } from "../verify/reference.ts";
import { NoProgress, progressOf } from "../warm/follow-progress.ts";
import { imagesOf, readImageList } from "../warm/image-list.ts";
import { type WarmImage, warmImage } from "../warm/warm-image.ts";
import { describeDuration } from "../words/quantities.ts";
import { type Board, openBoard } from "./board.ts";
import { edgeUrlOf } from "./local-environment.ts";
import { fail, UsageError } from "./process.ts";
import { boardLine, credentialsOf } from "./show-progress.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";

const DEFAULTS = { atOnce: "2", wait: "1800", forms: "zstd,gzip" };
const MAX_AT_ONCE = 32;

const HELP = `usage: npm run nixport -- warm [OPTION ...] [HOST/]NAME[:TAG] ...

Has images made as their pulls would, for all platforms of the registry, and waits until its edge answers
for them and has their layers. Prints each with its digests; what failed, with the reason, on standard error.
Exit code 0: all are there. 1: one is not. 2: bad usage. 130: stopped; what was begun goes on at the registry.

  --url URL      the edge, or an origin by itself; HOST in a name means the same. Without either, the edge
                 of npm start on this machine
  -f, --file FILE  a list of images, one a line, # for remarks; - is standard input
  --at-once N    how many are made at the same time (${DEFAULTS.atOnce})
  --form FORMS   zstd, gzip, docker: which forms, by commas (${DEFAULTS.forms}, whose layers are those of docker)
  --wait SECONDS   for how long each is waited for (${DEFAULTS.wait})

With NIXPORT_USER and NIXPORT_PASSWORD in the environment it logs in.
`;

interface Wanted {
  readonly images: readonly ImageReference[];
  readonly variants: readonly Variant[];
  readonly atOnce: number;
  readonly waitMs: number;
}

export const warm: Subcommand = {
  summary: "have images made and given to the edge before they are pulled",
  help: HELP,
  run: async (args, context) => {
    const wanted = await wantedOf(args, context);
    const board = openBoard({ out: process.stdout, err: process.stderr }, () => performance.now());
    const queue = wanted.images.values();
    let failed = 0;
    const worker = async () => {
      for (const image of queue) {
        context.signal.throwIfAborted();
        if (!(await warmOne(image, wanted, board, context))) failed += 1;
      }
    };
    try {
      // The others are stopped by the same signal, and none of them may draw any more.
      const ended = await Promise.allSettled(Array.from({ length: wanted.atOnce }, worker));
      for (const each of ended) if (each.status === "rejected") throw each.reason;
    } finally {
      board.end();
    }
    if (failed > 0) fail(`${failed} of ${wanted.images.length} images could not be had`);
  },
};

async function wantedOf(args: readonly string[], { env, signal }: CommandContext): Promise<Wanted> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      url: { type: "string" },
      file: { type: "string", short: "f", multiple: true },
      "at-once": { type: "string", default: DEFAULTS.atOnce },
      form: { type: "string", default: DEFAULTS.forms },
      wait: { type: "string", default: DEFAULTS.wait },
    },
  });
  const atOnce = wholeNumber("--at-once", values["at-once"], MAX_AT_ONCE);
  const waitMs = 1000 * wholeNumber("--wait", values.wait, 86_400);
  const variants = values.form.split(",").map((form) => {
    const variant = VARIANTS.find((each) => FORMS[each] === form.trim());
    if (variant !== undefined) return variant;
    throw new UsageError(`--form is ${form}: ${VARIANTS.map((each) => FORMS[each]).join(", ")}`);
  });
  const texts = [...positionals];
  for (const file of values.file ?? []) {
    const chunks = file === "-" ? process.stdin : createReadStream(file, { signal });
    texts.push(...(await readImageList(chunks)));
  }
  if (texts.length === 0) throw new UsageError(`no image is named\n${HELP}`);
  const images = imagesOf(texts, values.url ?? null, edgeUrlOf(env));
  if (typeof images === "string") throw new UsageError(images);
  return { images, variants: [...new Set(variants)], atOnce, waitMs };
}

function wholeNumber(name: string, text: string, most: number): number {
  const number = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= most) return number;
  throw new UsageError(`${name} is ${JSON.stringify(text)}: a number from 1 to ${most}`);
}

/** Whether it is there. */
async function warmOne(
  image: ImageReference,
  { variants, waitMs }: Wanted,
  board: Board,
  { env, signal }: CommandContext,
): Promise<boolean> {
  const name = `${image.name}:${image.tag}`;
  const startedMs = performance.now();
  const credentials = credentialsOf(env);
  const ended = new AbortController();
  const following = follow(image, name, board, {
    credentials,
    signal: AbortSignal.any([signal, ended.signal]),
  });
  const onStep = (said: string) => board.update(name, { step: said, said, part: null });
  onStep("asking for it");
  try {
    const deployment = createDeployment({ url: image.registryUrl, credentials, waitMs, signal });
    const warmed = await warmImage({ deployment, image, variants, signal, onStep });
    board.remove(name);
    board.say(summaryOf(name, warmed, performance.now() - startedMs));
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof Fault)) throw error;
    board.remove(name);
    board.complain(`${name}: ${error.message}`);
    return false;
  } finally {
    ended.abort();
    await following;
  }
}

function summaryOf(name: string, { digests, layers }: WarmImage, ms: number): string {
  const forms = [...digests].map(([variant, digest]) => `${FORMS[variant]} ${digest}`);
  return `${name} ${forms.join(" ")} ${layers} blobs, ${describeDuration(ms)}`;
}

/** Longer each time: at first the pull has yet to arrive. */
const COME_BACK_MS = { first: 500, last: 5000 };

/** For as long as the signal is not aborted; it never fails. */
async function follow(
  image: ImageReference,
  name: string,
  board: Board,
  following: { readonly credentials: Credentials | null; readonly signal: AbortSignal },
): Promise<void> {
  const { signal } = following;
  try {
    for (let afterMs = COME_BACK_MS.first; ; afterMs = Math.min(2 * afterMs, COME_BACK_MS.last)) {
      for await (const event of progressOf(image, following)) {
        if (event.event === "stage") board.update(name, boardLine(event.data));
      }
      await sleep(afterMs, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted && !(error instanceof NoProgress)) throw error;
  }
}
