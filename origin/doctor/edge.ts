// The edge that this origin fills: whether it answers, whether its clock agrees, for tokens live a
// minute, and whether it takes this origin's secret.

import { describeAge } from "../../registry/http/warning.ts";
import { createEdgeClient, type PushResult } from "../backfill/edge-client.ts";
import { fetchProblem } from "../words/fetch-problem.ts";
import { type Check, failed, notChecked, ok, type Seen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const ANSWER_DEADLINE_MS = 10_000;
/** What a token forgives (registry/between/token.ts), and half of it. */
const REFUSED_SKEW_MS = 60_000;
const NOTED_SKEW_MS = 30_000;
/** A Date header says whole seconds. */
const DATE_STEP_MS = 1000;

interface EdgeAnswer {
  readonly status: number;
  /** How far its clock is ahead of ours; undefined where it does not say. */
  readonly aheadMs: number | undefined;
}

export function edgeChecks(subject: Subject): readonly Check[] {
  const url = subject.config?.edgeUrl ?? null;
  if (subject.config === null || url === null) {
    const why = subject.config === null ? "the configuration is wrong" : "none is configured";
    return [{ group: "edge", check: "answers", isCheap: false, look: async () => notChecked(why) }];
  }
  const { secretKeys } = subject.config;
  let asked: Promise<EdgeAnswer | string> | undefined;
  const answer = () => {
    asked ??= askEdge(url);
    return asked;
  };
  /** Only what answers can say more. */
  const ofAnswer = (look: (told: EdgeAnswer) => Seen | Promise<Seen>) => async () => {
    const told = await answer();
    return typeof told === "string" ? notChecked("the edge does not answer") : look(told);
  };
  const check = (name: string, look: Check["look"]): Check => ({
    ...{ group: "edge", check: name, isCheap: false, look },
  });
  return [
    check("answers", async () => describeAnswer(url, await answer(), subject.isEdgeAssumed)),
    check(
      "clock",
      ofAnswer(({ aheadMs }) => describeClock(aheadMs)),
    ),
    check("secret", (signal) =>
      ofAnswer(async () => {
        const client = createEdgeClient({ url, secretKeys, now: Date.now, signal });
        // Of nothing: the edge only looks whether it is the origin who sends it.
        return describeSecret(await client.postRecords({ records: [] }));
      })(),
    ),
  ];
}

async function askEdge(url: string): Promise<EdgeAnswer | string> {
  const sentMs = Date.now();
  try {
    const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS);
    const response = await fetch(new URL("/v2/", url), { signal, redirect: "manual" });
    await response.body?.cancel();
    const date = Date.parse(response.headers.get("Date") ?? "");
    const halfwayMs = (sentMs + Date.now()) / 2;
    const aheadMs = Number.isNaN(date) ? undefined : date + DATE_STEP_MS / 2 - halfwayMs;
    return { status: response.status, aheadMs };
  } catch (error) {
    return fetchProblem(error);
  }
}

function describeAnswer(url: string, told: EdgeAnswer | string, isAssumed: boolean): Seen {
  if (typeof told !== "string") {
    if (told.status === 200 || told.status === 401) return ok(url);
    return failed(
      `${url} answers ${told.status} to /v2/`,
      "see that NIXPORT_EDGE_URL names an edge of nixport",
    );
  }
  if (isAssumed) return notChecked(`none runs on this machine (${url}); npm start starts one`);
  return failed(
    `${url} does not answer: ${told}`,
    "see NIXPORT_EDGE_URL, and that this machine reaches it; what is to be given to it waits",
  );
}

function describeClock(aheadMs: number | undefined): Seen {
  if (aheadMs === undefined) return notChecked("the edge does not say its time");
  const difference = describeAge(Math.abs(aheadMs));
  const saw = `${difference} ${aheadMs > 0 ? "behind" : "ahead of"} the edge's`;
  if (Math.abs(aheadMs) < NOTED_SKEW_MS) return ok(saw);
  const toDo = "set this machine's clock, such as by systemd-timesyncd";
  return Math.abs(aheadMs) < REFUSED_SKEW_MS
    ? warning(saw, toDo)
    : failed(`${saw}: requests may be refused`, toDo);
}

function describeSecret(result: PushResult): Seen {
  switch (result.kind) {
    case "accepted":
    case "blobs-missing":
      return ok("the edge takes it");
    case "refused":
      if (!result.message.startsWith("401")) return failed(result.message, "see the edge's log");
      return failed(
        "the edge does not take it",
        "give both the same NIXPORT_SECRET (npx wrangler secret put NIXPORT_SECRET), and see that the clocks agree",
      );
    case "unreachable":
      return failed(result.message, "see the edge's log");
    default:
      return result satisfies never;
  }
}
