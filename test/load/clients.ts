// Many clients at once, each of which asks for one thing after another over a connection of its own,
// rests between, and looks at what it gets: that the status is one that is meant, and the bytes the right ones.

import { createHash } from "node:crypto";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { OCI_MANIFEST } from "../../registry/image/media-type.ts";
import type { Random } from "../bench/random.ts";
import type { Card, Deck, Kind } from "./deck.ts";

export interface LoadOptions {
  /** What is asked, each time one of them. */
  readonly urls: readonly string[];
  readonly deck: Deck;
  /** Asked for by several at once, one after another in the time of the load. */
  readonly cold: readonly Card[];
  readonly random: Random;
  readonly clients: number;
  /** On average, between an answer and the next request. */
  readonly restMs: number;
  readonly forMs: number;
}

export interface LoadResult {
  readonly answered: ReadonlyMap<Kind, number>;
  /** Of those that were told to ask again, and did. */
  readonly askedAgain: ReadonlyMap<Kind, number>;
  /** What nobody should have been answered, in words, with how often. */
  readonly faults: ReadonlyMap<string, number>;
  readonly seconds: number;
}

/** How many want a new package at the same time. */
const COLD_CLIENTS = 5;
const ANSWER_DEADLINE_MS = 90_000;
const MAX_TRIES = 20;

const MAY_BE_BUSY: ReadonlySet<Kind> = new Set(["combination", "missing name", "cold"]);
const MISSING: Readonly<Partial<Record<Kind, string>>> = {
  "missing name": "MANIFEST_UNKNOWN",
  "missing blob": "BLOB_UNKNOWN",
};

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { urls, deck, cold, random, clients, restMs, forMs } = options;
  const startedMs = performance.now();
  const endMs = startedMs + forMs;
  const answered = new Map<Kind, number>();
  const askedAgain = new Map<Kind, number>();
  const faults = new Map<string, number>();
  const agents = new Set<Agent>();

  async function pull(agent: Agent, card: Card): Promise<void> {
    const url = urls[random.below(urls.length)] ?? "";
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const answer = await ask(agent, url, card).catch((error: Error) => error);
      if (answer instanceof Error) return count(faults, `${card.kind}: ${answer.message}`);
      if (isBusy(card, answer)) {
        count(askedAgain, card.kind);
        await pause(1000 * Number(answer.headers["retry-after"]));
        continue;
      }
      count(answered, card.kind);
      const fault = faultOf(card, answer);
      if (fault !== undefined) count(faults, `${card.kind}: ${fault}`);
      return;
    }
    count(faults, `${card.kind}: busy ${MAX_TRIES} times`);
  }

  async function client(place: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agents.add(agent);
    // They do not all begin at once.
    await pause((restMs * place) / clients);
    while (performance.now() < endMs) {
      await pull(agent, deck.next());
      await pause(-restMs * Math.log(1 - random.fraction()));
    }
  }

  async function newPackages(): Promise<void> {
    for (const [place, card] of cold.entries()) {
      const dueMs = startedMs + (forMs * (place + 0.5)) / (cold.length + 1);
      await pause(Math.max(0, dueMs - performance.now()));
      const agent = new Agent({ keepAlive: true });
      agents.add(agent);
      await Promise.all(Array.from({ length: COLD_CLIENTS }, () => pull(agent, card)));
    }
  }

  await Promise.all([
    newPackages(),
    ...Array.from({ length: clients }, (_, place) => client(place)),
  ]);
  for (const agent of agents) agent.destroy();
  return { answered, askedAgain, faults, seconds: (performance.now() - startedMs) / 1000 };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * A connection that rested may be closed by its server in the moment in which it is used again. Of that
 * no client tells its user: it asks once more, on another.
 */
export async function ask(agent: Agent, url: string, card: Card): Promise<Answer> {
  const first = await askOnce(agent, url, card);
  const answer = first === "closed" ? await askOnce(agent, url, card) : first;
  if (answer === "closed") throw new Error("closed without an answer");
  return answer;
}

function askOnce(agent: Agent, url: string, card: Card): Promise<Answer | "closed"> {
  const headers = {
    Accept: OCI_MANIFEST,
    ...(card.range !== undefined && { Range: card.range }),
  };
  const { promise, resolve, reject } = Promise.withResolvers<Answer | "closed">();
  const asked = request(url + card.path, { agent, method: card.method, headers }, (response) => {
    const pieces: Buffer[] = [];
    response.on("data", (piece: Buffer) => pieces.push(piece));
    response.once("error", reject);
    response.once("end", () => {
      const { statusCode: status = 0, headers } = response;
      resolve({ status, headers, body: Buffer.concat(pieces) });
    });
  });
  asked.setTimeout(ANSWER_DEADLINE_MS, () => asked.destroy(new Error("no answer")));
  asked.once("error", (error) => {
    if (asked.reusedSocket && "code" in error && error.code === "ECONNRESET") resolve("closed");
    else reject(error);
  });
  asked.end();
  return promise;
}

/** As the pages say: 429 and 503, each with when to ask again. */
function isBusy({ kind }: Card, { status, headers }: Answer): boolean {
  return MAY_BE_BUSY.has(kind) && (status === 429 || status === 503) && !!headers["retry-after"];
}

function faultOf(card: Card, { status, headers, body }: Answer): string | undefined {
  const code = MISSING[card.kind];
  if (code !== undefined) {
    const isMissing = status === 404 && body.includes(`"${code}"`);
    return isMissing ? undefined : `HTTP ${status} ${body.toString("utf8", 0, 300)}`;
  }
  if (status !== (card.range === undefined ? 200 : 206)) {
    return `HTTP ${status} ${body.toString("utf8", 0, 300)}`;
  }
  if (card.method === "HEAD") return body.length === 0 ? undefined : "HEAD with a body";
  if (card.range !== undefined) return undefined;
  const digest = card.digest ?? headers["docker-content-digest"];
  const actual = `sha256:${createHash("sha256").update(body).digest("hex")}`;
  return actual === digest ? undefined : `${actual} instead of ${digest}`;
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
