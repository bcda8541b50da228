// `nixport status`: how far an image is that is being made, once or until it ends.

import { parseArgs } from "node:util";
import type { ProgressEvent } from "../../registry/http/progress.ts";
import { NoProgress, progressOf } from "../warm/follow-progress.ts";
import { imagesOf } from "../warm/image-list.ts";
import { openBoard } from "./board.ts";
import { edgeUrlOf } from "./local-environment.ts";
import { fail, UsageError } from "./process.ts";
import { boardLine, credentialsOf } from "./show-progress.ts";
import type { Subcommand } from "./subcommand.ts";

const HELP = `usage: npm run nixport -- status [--url URL] [--follow] [HOST/]NAME[:TAG]

Says how far an image is that somebody pulls: looked up, fetched, built, packed, given to the edge; or how its
last build ended. It has nothing made. Exit code 1: it failed, or nothing can be found out.

  --url URL   the edge, or an origin by itself; HOST in the name means the same. Without either, the edge of
              npm start on this machine
  --follow    until it ends

With NIXPORT_USER and NIXPORT_PASSWORD in the environment it logs in.
`;

export const status: Subcommand = {
  summary: "how far an image is that is being made",
  help: HELP,
  run: async (args, { env, signal }) => {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { url: { type: "string" }, follow: { type: "boolean", default: false } },
    });
    if (positionals.length !== 1) throw new UsageError(`one image is needed\n${HELP}`);
    const images = imagesOf(positionals, values.url ?? null, edgeUrlOf(env));
    if (typeof images === "string") throw new UsageError(images);
    const [image] = images;
    if (image === undefined) throw new UsageError(HELP);
    const events = progressOf(image, { credentials: credentialsOf(env), signal });
    await show(`${image.name}:${image.tag}`, events, values.follow, signal);
  },
};

async function show(
  name: string,
  events: AsyncIterable<ProgressEvent>,
  isFollowed: boolean,
  signal: AbortSignal,
): Promise<void> {
  const board = openBoard({ out: process.stdout, err: process.stderr }, () => performance.now());
  try {
    for await (const event of events) {
      if (event.event === "stage" && isFollowed) {
        board.update(name, boardLine(event.data));
        continue;
      }
      board.end();
      if (event.event === "failed") fail(`${name}: ${event.data.message}`);
      board.say(`${name}: ${described(event)}`);
      return;
    }
    fail(`${name}: the registry has ended the stream`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NoProgress) fail(`${name}: ${error.message}`);
    throw error;
  } finally {
    board.end();
  }
}

function described(event: Exclude<ProgressEvent, { event: "failed" }>): string {
  switch (event.event) {
    case "stage":
      return event.data.said;
    case "done":
    case "known": {
      const { digest, edge } = event.data;
      return `${digest}${edge === "not-yet" ? ", which the edge has yet to get" : ""}`;
    }
    case "idle":
      return "nothing is under way";
    default:
      return event satisfies never;
  }
}
