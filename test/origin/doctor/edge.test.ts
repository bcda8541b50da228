// What the doctor says of an edge: a real one in workerd, and servers that answer as a test says.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { startEdge } from "../../../origin/command/workerd.ts";
import { edgeChecks } from "../../../origin/doctor/edge.ts";
import { examine } from "../../../origin/doctor/examine.ts";
import { openSubject } from "../../../origin/doctor/subject.ts";
import { temporaryDirectory } from "../fixture.ts";

const SECRET = "a secret of these tests";
const never = new AbortController().signal;

/** The states and words by check. */
async function look(url: string, secret = SECRET, isEdgeAssumed = false) {
  const env = { NIXERY_PKGS_PATH: "/", NIXPORT_EDGE_URL: url, NIXPORT_SECRET: secret };
  const subject = openSubject({
    ...{ env, statePath: "/nowhere", isEdgeAssumed, signal: never },
    nixpkgsAnswers: () => assert.fail(),
    debianSetNixConfig: () => assert.fail(),
  });
  const findings = await examine(edgeChecks(subject), never);
  assert(!JSON.stringify(findings).includes(secret));
  return Object.fromEntries(findings.map(({ check, state, saw }) => [check, [state, saw]]));
}

/** An edge that answers everything with a status, its clock so far ahead of ours. */
async function skewed(t: TestContext, aheadMs: number, status = 200): Promise<string> {
  const server = createServer((_, response) => {
    response.sendDate = false;
    response.setHeader("Date", new Date(Date.now() + aheadMs).toUTCString());
    response.writeHead(status).end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
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
  test("that it takes this origin's secret, and no other", async (t) => {
    const statePath = await temporaryDirectory(t);
    const log: string[] = [];
    const edge = await startEdge({
      ...{ port: 0, statePath, originUrl: "http://127.0.0.1:1", secret: SECRET },
      onLog: (line) => log.push(line),
    });
    t.after(() => edge.close());
    const right = await look(edge.url);
    assert.deepEqual(right.answers, ["ok", edge.url]);
    assert.deepEqual(right.secret, ["ok", "the edge takes it"]);
    // workerd sends no Date; whoever stands in front of a deployed edge does.
    assert.equal(right.clock?.[0], "not-checked");
    const wrong = await look(edge.url, "another secret of them");
    assert.deepEqual(wrong.secret, ["failed", "the edge does not take it"]);
  });

  const clocks: readonly [aheadMs: number, state: string, saw: RegExp][] = [
    [0, "ok", /^[01] s (?:behind|ahead of) the edge's$/],
    [45_000, "warning", /^4[3-6] s behind the edge's$/],
    [-45_000, "warning", /^4[4-7] s ahead of the edge's$/],
    [90_000, "failed", /^(?:8[89]|9[01]) s behind the edge's: requests may be refused$/],
    [-7_200_000, "failed", /^2 h ahead of the edge's: requests may be refused$/],
  ];
  for (const [aheadMs, state, saw] of clocks) {
    test(`how far its clock is, when that is ${aheadMs / 1000} s ahead`, async (t) => {
      const { clock } = await look(await skewed(t, aheadMs));
      assert.equal(clock?.[0], state);
      assert.match(clock?.[1] ?? "", saw);
    });
  }

  test("that something else answers at its place", async (t) => {
    const { answers } = await look(await skewed(t, 0, 404));
    assert.equal(answers?.[0], "failed");
    assert.match(answers?.[1] ?? "", /answers 404 to \/v2\/$/);
  });

  test("that it does not answer, where somebody has said that it is there", async () => {
    const url = await closedUrl();
    const { answers, clock, secret } = await look(url);
    assert.equal(answers?.[0], "failed");
    assert.match(answers?.[1] ?? "", /does not answer: connect ECONNREFUSED/);
    assert.deepEqual([clock?.[0], secret?.[0]], ["not-checked", "not-checked"]);
    const assumed = await look(url, SECRET, true);
    assert.equal(assumed.answers?.[0], "not-checked");
  });
});
