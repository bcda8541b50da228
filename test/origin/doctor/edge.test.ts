// What the doctor says of an edge: a real one in workerd, and servers that answer as a test says.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { startEdge } from "../../../origin/command/workerd.ts";
import { edgeChecks } from "../../../origin/doctor/edge.ts";
import { examine } from "../../../origin/doctor/examine.ts";
import { openSubject } from "../../../origin/doctor/subject.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";

const SECRET = "a secret of these tests";
const never = new AbortController().signal;

/** The states and words by check. */
async function look(url: string, secret = SECRET, isEdgeAssumed = false) {
  const env = { NIXERY_PKGS_PATH: "/", NIXPORT_EDGE_URL: url, NIXPORT_SECRET: secret };
  const subject = openSubject({
    ...{ env, statePath: "/nowhere", isEdgeAssumed, signal: never },
    nixpkgsAnswers: () => expect.unreachable(),
    debianSetNixConfig: () => expect.unreachable(),
  });
  const findings = await examine(edgeChecks(subject), never);
  expect(JSON.stringify(findings)).not.toContain(secret);
  return Object.fromEntries(findings.map(({ check, state, saw }) => [check, [state, saw]]));
}

/** An edge that answers everything with a status, its clock so far ahead of ours. */
async function skewed(onEnd: Ending, aheadMs: number, status = 200): Promise<string> {
  const server = createServer((_, response) => {
    response.sendDate = false;
    response.setHeader("Date", new Date(Date.now() + aheadMs).toUTCString());
    response.writeHead(status).end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onEnd(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Of a server that has just stopped listening. */
async function closedUrl(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  return `http://127.0.0.1:${port}`;
}

describe("the doctor says of an edge", { timeout: 60_000 }, () => {
  test("that it takes this origin's secret, and no other", async () => {
    const statePath = await temporaryDirectory(onTestFinished);
    const log: string[] = [];
    const edge = await startEdge({
      ...{ port: 0, statePath, originUrl: "http://127.0.0.1:1", secret: SECRET },
      onLog: (line) => log.push(line),
    });
    onTestFinished(() => edge.close());
    const right = await look(edge.url);
    expect(right.answers).toStrictEqual(["ok", edge.url]);
    expect(right.secret).toStrictEqual(["ok", "the edge takes it"]);
    // workerd sends no Date; whoever stands in front of a deployed edge does.
    expect(right.clock?.[0]).toBe("not-checked");
    const wrong = await look(edge.url, "another secret of them");
    expect(wrong.secret).toStrictEqual(["failed", "the edge does not take it"]);
  });

  const clocks: readonly [aheadMs: number, state: string, saw: RegExp][] = [
    [0, "ok", /^[01] s (?:behind|ahead of) the edge's$/],
    [45_000, "warning", /^4[3-6] s behind the edge's$/],
    [-45_000, "warning", /^4[4-7] s ahead of the edge's$/],
    [90_000, "failed", /^(?:8[89]|9[01]) s behind the edge's: requests may be refused$/],
    [-7_200_000, "failed", /^2 h ahead of the edge's: requests may be refused$/],
  ];
  for (const [aheadMs, state, saw] of clocks) {
    test(`how far its clock is, when that is ${aheadMs / 1000} s ahead`, async () => {
      const { clock } = await look(await skewed(onTestFinished, aheadMs));
      expect(clock?.[0]).toBe(state);
      expect(clock?.[1] ?? "").toMatch(saw);
    });
  }

  test("that something else answers at its place", async () => {
    const { answers } = await look(await skewed(onTestFinished, 0, 404));
    expect(answers?.[0]).toBe("failed");
    expect(answers?.[1] ?? "").toMatch(/answers 404 to \/v2\/$/);
  });

  test("that it does not answer, where somebody has said that it is there", async () => {
    const url = await closedUrl();
    const { answers, clock, secret } = await look(url);
    expect(answers?.[0]).toBe("failed");
    expect(answers?.[1] ?? "").toMatch(/does not answer: connect ECONNREFUSED/);
    expect([clock?.[0], secret?.[0]]).toStrictEqual(["not-checked", "not-checked"]);
    const assumed = await look(url, SECRET, true);
    expect(assumed.answers?.[0]).toBe("not-checked");
  });
});
