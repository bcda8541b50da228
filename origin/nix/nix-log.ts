// Reads what Nix writes with `--log-format internal-json`: how far builds and downloads are, what
// builders said last, and the messages as the text they are without that option. Everything kept is
// bounded, whatever builders write.

import * as v from "valibot";
import type { BuildProgress } from "../../registry/http/building.ts";
import { parseJson } from "../../registry/http/json.ts";
import { recentValues } from "../memory/recent-values.ts";

export interface NixLog {
  /** One line of standard error, without its end. */
  read(line: string): void;
  progress(): BuildProgress;
  /** Of files that are being downloaded, and those that were. */
  transfers(): Transfers;
  /** Errors and warnings, for those who read the text of older versions. */
  messages(): string;
  /** The end of a builder's output, as far as this process of Nix has shown it. */
  tailOf(derivation: string): readonly string[];
}

/** `expectedBytes` is 0 where a server does not say how much it sends. */
export interface Transfers {
  readonly doneBytes: number;
  readonly expectedBytes: number;
}

/** Numbers of Nix's logging.hh, the same from 2.8 to 2.31. */
const ACTIVITY = { copyPath: 100, fileTransfer: 101, builds: 104, build: 105 } as const;
const RESULT = { buildLogLine: 101, progress: 105, setExpected: 106 } as const;
const WARNING_LEVEL = 1;

const PREFIX = "@nix ";
/** What went wrong may be some lines above those that tell of it: make has one for each folder. */
const TAIL_LINES = 40;
const MAX_TAIL_CHARACTERS = 1000;
const MAX_TAILS = 100;
const MAX_ACTIVITIES = 10_000;
const MAX_MESSAGES_CHARACTERS = 256 * 1024;

const event = v.variant("action", [
  v.object({
    action: v.literal("start"),
    id: v.number(),
    type: v.number(),
    fields: v.optional(v.array(v.unknown()), []),
  }),
  v.object({ action: v.literal("stop"), id: v.number() }),
  v.object({
    action: v.literal("result"),
    id: v.number(),
    type: v.number(),
    fields: v.array(v.unknown()),
  }),
  v.object({ action: v.literal("msg"), level: v.number(), msg: v.string() }),
]);

type Event = v.InferOutput<typeof event>;

interface Activity {
  readonly type: number;
  /** Of a build. */
  readonly derivation: string;
  done: number;
  expected: number;
  /** What it says to expect of activities of other types. */
  readonly expects: Map<number, number>;
}

export function createNixLog(): NixLog {
  const activities = new Map<number, Activity>();
  /** Of activities that have ended. */
  let copiedBytes = 0;
  let transferredBytes = 0;
  let builds = { done: 0, expected: 0 };
  const tails = recentValues<string[]>(MAX_TAILS);
  let messages = "";

  function start({ id, type, fields }: Extract<Event, { action: "start" }>): void {
    if (activities.size >= MAX_ACTIVITIES) return;
    const [derivation] = fields;
    activities.set(id, {
      type,
      derivation: typeof derivation === "string" ? derivation : "",
      ...{ done: 0, expected: 0, expects: new Map() },
    });
  }

  function stop(id: number): void {
    const ended = activities.get(id);
    activities.delete(id);
    if (ended?.type === ACTIVITY.copyPath) copiedBytes += ended.done;
    if (ended?.type === ACTIVITY.fileTransfer) transferredBytes += ended.done;
  }

  function result({ id, type, fields }: Extract<Event, { action: "result" }>): void {
    const activity = activities.get(id);
    if (activity === undefined) return;
    const [first, second] = fields;
    if (type === RESULT.buildLogLine) addToTail(activity.derivation, first);
    if (typeof first !== "number" || typeof second !== "number") return;
    if (type === RESULT.setExpected) activity.expects.set(first, second);
    if (type !== RESULT.progress) return;
    activity.done = first;
    activity.expected = second;
    // This activity ends with the process, so its last word is kept.
    if (activity.type === ACTIVITY.builds) builds = { done: first, expected: second };
  }

  function addToTail(derivation: string, line: unknown): void {
    if (typeof line !== "string") return;
    const tail = tails.lookup(derivation) ?? [];
    tail.push(line.slice(0, MAX_TAIL_CHARACTERS));
    if (tail.length > TAIL_LINES) tail.shift();
    tails.store(derivation, tail);
  }

  function say(text: string): void {
    messages = `${messages}${text}\n`;
    if (messages.length > 2 * MAX_MESSAGES_CHARACTERS) {
      messages = messages.slice(-MAX_MESSAGES_CHARACTERS);
    }
  }

  return {
    read(line) {
      const read = parse(line);
      if (read === undefined) {
        // Not of this format: what was said before the option took effect, or by another program.
        if (!line.startsWith(PREFIX)) say(line);
        return;
      }
      switch (read.action) {
        case "start":
          return start(read);
        case "stop":
          return stop(read.id);
        case "result":
          return result(read);
        case "msg":
          if (read.level <= WARNING_LEVEL) say(read.msg);
          return;
        default:
          return read satisfies never;
      }
    },
    progress() {
      const all = [...activities.values()];
      const copies = all.filter(({ type }) => type === ACTIVITY.copyPath);
      const begun = copies.reduce((sum, { expected }) => sum + expected, copiedBytes);
      const told = all.reduce((sum, { expects }) => sum + (expects.get(ACTIVITY.copyPath) ?? 0), 0);
      return {
        builds: {
          ...builds,
          running: all.filter(({ type }) => type === ACTIVITY.build).map(nameOf),
        },
        downloads: {
          doneBytes: copies.reduce((sum, { done }) => sum + done, copiedBytes),
          expectedBytes: Math.max(begun, told),
        },
      };
    },
    transfers() {
      const open = [...activities.values()].filter(({ type }) => type === ACTIVITY.fileTransfer);
      const doneBytes = open.reduce((sum, { done }) => sum + done, transferredBytes);
      const isTold = open.every(({ expected }) => expected > 0);
      const leftBytes = open.reduce((sum, { done, expected }) => sum + expected - done, 0);
      return { doneBytes, expectedBytes: isTold ? doneBytes + leftBytes : 0 };
    },
    messages: () => messages.slice(-MAX_MESSAGES_CHARACTERS),
    tailOf: (derivation) => tails.lookup(derivation) ?? [],
  };
}

function parse(line: string): Event | undefined {
  if (!line.startsWith(PREFIX)) return undefined;
  // One that was too long is cut off, and no JSON.
  const parsed = v.safeParse(event, parseJson(line.slice(PREFIX.length)));
  return parsed.success ? parsed.output : undefined;
}

/** `gcc-13.2` of `/nix/store/…-gcc-13.2.drv`. */
function nameOf({ derivation }: Activity): string {
  return derivation.replace(/^.*\/[0-9a-z]{32}-/, "").replace(/\.drv$/, "");
}
