// The token endpoint of an edge on the real runtime: right, wrong, expired, foreign and replayed
// credentials, and what its tokens are good for.

import { decodeJwt, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startIssuer, type TestIssuer } from "../../registry/access/issuer.ts";
import { pinOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { stockOf } from "../stock.ts";
import { errorOf, manifestPath, SECRET, startWorld, type World } from "../world.ts";
import { basic, EXPIRED_ROBOT, PASSWORD, policyOf, ROBOT } from "./policy.ts";

const PIN = pinOf("1".repeat(40));
let world: World;
let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await startIssuer(NOW_MS);
  world = await startWorld({ policy: await policyOf(issuer.url) });
  await world.backfill(await stockOf(["git", "htop", "tree"]), { tag: "latest", pin: PIN });
});

afterAll(async () => {
  await world.close();
  await issuer.stop();
});

/** Each from a network of its own, so that no try counts for another. */
let networks = 0;
const fresh = (headers: Readonly<Record<string, string>>) => ({
  "CF-Connecting-IP": `192.0.2.${networks++ % 250}`,
  ...headers,
});

interface TokenAnswer {
  readonly token: string;
  readonly access_token: string;
  readonly expires_in: number;
}

async function ask(
  headers: Readonly<Record<string, string>>,
  query = "scope=repository:git:pull",
  nowMs = NOW_MS,
): Promise<Response> {
  return world.pull(`/token?${query}`, { headers: fresh(headers), controls: { nowMs } });
}

async function tokenFor(headers: Readonly<Record<string, string>>, query?: string) {
  const response = await ask(headers, query);
  expect(response.status).toBe(200);
  expect(response.headers.get("Cache-Control")).toBe("no-store");
  return (await response.json()) as TokenAnswer;
}

async function pull(token: string, name = "git", nowMs = NOW_MS): Promise<Response> {
  const headers = fresh({ Authorization: `Bearer ${token}` });
  const response = await world.pull(manifestPath(name, "latest"), { headers, controls: { nowMs } });
  await response.body?.cancel();
  return response;
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

describe("/token", () => {
  test.for([
    ["a user", () => basic("some"), "some"],
    ["a robot", () => ROBOT, "robot"],
    ["a job, by name and password", async () => basic("any", await issuer.sign()), "acme-main"],
    ["a job, by its token", async () => bearer(await issuer.sign()), "acme-main"],
    ["nobody in particular", () => ({}), undefined],
  ] as const)("gives %s a token of some minutes", async ([, headers, subject]) => {
    const { token, access_token, expires_in } = await tokenFor(await headers());
    expect(access_token).toBe(token);
    expect(expires_in).toBe(300);
    const { sub, exp, iat, access } = decodeJwt(token);
    expect({ sub, life: (exp ?? 0) - (iat ?? 0), access }).toStrictEqual({
      sub: subject,
      life: 300,
      access: [{ type: "repository", name: "git", actions: ["pull"] }],
    });
    expect((await pull(token)).status).toBe(subject === undefined ? 401 : 200);
  });

  test("takes containerd's form", async () => {
    const form = { grant_type: "password", username: "some", password: PASSWORD, service: "" };
    const scope = "repository:git:pull repository:tree:pull,push";
    const response = await fetch(`${world.edge.url}/token`, {
      method: "POST",
      headers: { "Test-Controls": "{}" },
      body: new URLSearchParams({ ...form, scope }),
    });
    const { access_token } = (await response.json()) as TokenAnswer;
    const { access } = decodeJwt(access_token);
    expect((access as { name: string }[]).map(({ name }) => name)).toStrictEqual(["git", "tree"]);
  });

  test.for([
    ["a refresh token", { grant_type: "refresh_token" }, 405],
    ["no grant", {}, 405],
    ["a wrong password", { grant_type: "password", username: "some", password: "x" }, 401],
    ["a form without end", { grant_type: "password", username: "x".repeat(20_000) }, 400],
  ] as const)("refuses %s in a form", async ([, form, status]) => {
    const headers = fresh({ "Test-Controls": "{}" });
    const body = new URLSearchParams(form);
    const response = await fetch(`${world.edge.url}/token`, { method: "POST", headers, body });
    await response.body?.cancel();
    expect(response.status).toBe(status);
  });

  test.for([
    ["a wrong password", () => basic("some", "x")],
    ["a name that is nobody's", () => basic("nobody")],
    ["an expired robot", () => EXPIRED_ROBOT],
    ["half a header", () => ({ Authorization: "Basic !" })],
    ["a job's token of some time ago", () => issuer.sign({}, { nowMs: NOW_MS - 400_000 })],
    ["one of a time to come", () => issuer.sign({}, { nowMs: NOW_MS + 300_000 })],
    ["one that lives for ever", () => issuer.sign({}, { nowMs: NOW_MS - 1e9, lifeSeconds: 2e9 })],
    ["one for somebody else", () => issuer.sign({ aud: "https://elsewhere.example.org" })],
    ["one of another repository", () => issuer.sign({ repository: "acme/other" })],
    ["one of another branch", () => issuer.sign({ ref: "refs/heads/feature" })],
    ["one without the claim", () => issuer.sign({ ref: undefined })],
    ["one that says another issuer", () => issuer.sign({ iss: "https://accounts.example.org" })],
    ["one signed with nobody's key", () => issuer.sign({}, { kid: "unheard-of" })],
    [
      "one that nobody has signed",
      async () => `${(await issuer.sign()).split(".", 2).join(".")}.AAAA`,
    ],
    ["one signed with what is public", () => shared({ iss: issuer.url })],
    ["a token of ours", async () => (await tokenFor(basic("all"))).token],
  ] as const)("refuses %s", async ([, make]) => {
    const made = await make();
    const headers = typeof made === "string" ? bearer(made) : made;
    const response = await ask(headers);
    expect((await errorOf(response)).code).toBe("UNAUTHORIZED");
    expect(response.headers.get("WWW-Authenticate")).not.toBeNull();
  });

  test("does not know its issuer's new key before it is asked for, and then does", async () => {
    await issuer.rotate();
    const signed = await issuer.sign({}, { nowMs: NOW_MS + 40_000 });
    const [early, late] = [NOW_MS + 1000, NOW_MS + 40_000];
    expect((await ask(bearer(signed), undefined, early)).status).toBe(401);
    expect((await ask(bearer(signed), undefined, late)).status).toBe(200);
  });

  test("says 503 where the issuer gives no keys, and never lets in", async () => {
    const silent = await startIssuer(NOW_MS);
    const policy = await policyOf(silent.url);
    const other = await startWorld({ policy });
    silent.answering = () => ({ status: 500, body: "" });
    const headers = bearer(await silent.sign());
    const response = await other.pull("/token", { headers });
    expect((await errorOf(response)).code).toBe("UNAVAILABLE");
    await silent.stop();
    await other.close();
  });

  /** By the shared secret of edge and origin, which signs no such token. */
  function shared(claims: object): Promise<string> {
    const now = NOW_MS / 1000;
    return new SignJWT({ ...claims, aud: "x", sub: "all" })
      .setProtectedHeader({ alg: "HS256", kid: "1" })
      .setIssuedAt(now)
      .setExpirationTime(now + 60)
      .sign(new TextEncoder().encode(SECRET));
  }
});

describe("a token", () => {
  test("is for the names that it was asked for", async () => {
    const { token } = await tokenFor(basic("all"));
    expect((await pull(token, "git")).status).toBe(200);
    const elsewhere = await pull(token, "htop");
    expect(elsewhere.status).toBe(401);
    expect(elsewhere.headers.get("WWW-Authenticate")).toMatch(
      /scope="repository:htop:pull",error="insufficient_scope"$/,
    );
  });

  test("opens nothing that the rules do not", async () => {
    const query =
      "scope=repository:git:pull&scope=repository:htop:pull,push&scope=registry:catalog:*";
    const { token } = await tokenFor(ROBOT, query);
    expect((await pull(token, "git")).status).toBe(200);
    expect((await pull(token, "htop")).status).toBe(403);
  });

  test("of nobody in particular opens what is for everybody", async () => {
    const { token } = await tokenFor({}, "scope=repository:tree:pull&scope=repository:git:pull");
    expect((await pull(token, "tree")).status).toBe(200);
    expect((await pull(token, "git")).status).toBe(401);
  });

  test.for([
    ["counts for its minutes, by clocks that differ", 350_000, 200],
    ["counts by a clock that is a minute behind", -59_000, 200],
    ["does not count after", 361_000, 401],
    ["does not count five minutes before it was made", -300_000, 401],
  ] as const)("%s", async ([, ms, status]) => {
    const { token } = await tokenFor(basic("all"));
    expect((await pull(token, "git", NOW_MS + ms)).status).toBe(status);
  });

  test.for([
    ["edge and origin sign their requests with", { iss: "edge", method: "GET", path: "/v2/" }],
    ["makes itself one", { iss: "nixport-access", aud: "x", access: [] }],
  ] as const)("is not what %s", async ([, claims]) => {
    const now = NOW_MS / 1000;
    const forged = await new SignJWT({ ...claims, sub: "all" })
      .setProtectedHeader({ alg: "HS256", kid: "1" })
      .setIssuedAt(now)
      .setExpirationTime(now + 60)
      .sign(new TextEncoder().encode(SECRET));
    expect((await pull(forged)).status).toBe(401);
  });

  test("of one deployment is none of another", async () => {
    const other = await startWorld({
      policy: await policyOf(issuer.url),
      secret: "another secret of these tests",
    });
    const { token } = await tokenFor(basic("all"));
    const headers = { Authorization: `Bearer ${token}` };
    const response = await other.pull("/v2/", { headers });
    expect(response.status).toBe(401);
    await response.body?.cancel();
    await other.close();
  });
});

describe("a network", () => {
  const from = (address: string, headers: Readonly<Record<string, string>>) =>
    world.pull("/v2/", { headers: { "CF-Connecting-IP": address, ...headers } });

  test("that is wrong too often waits a minute, and others do not", async () => {
    const address = "198.51.100.1";
    for (let tries = 0; tries < 10; tries += 1) {
      expect((await from(address, basic("some", `wrong ${tries}`))).status).toBe(401);
    }
    const refused = await from(address, basic("robot"));
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(50);
    expect((await from("198.51.100.2", basic("none"))).status).toBe(200);
    const controls = { nowMs: NOW_MS + 60_000 };
    const headers = { "CF-Connecting-IP": address, ...basic("none") };
    expect((await world.pull("/v2/", { headers, controls })).status).toBe(200);
  });

  test("that was right lately is let in while somebody else there is wrong", async () => {
    const address = "198.51.100.3";
    expect((await from(address, basic("all"))).status).toBe(200);
    for (let tries = 0; tries < 11; tries += 1) await from(address, basic("all", `wrong ${tries}`));
    expect((await from(address, basic("all"))).status).toBe(200);
  });

  test.for([
    ["has no more tries where its location has counted enough of them", "refuses", 429],
    ["is counted here where its location cannot count", "fails", 401],
  ] as const)("%s", async ([, logins, status]) => {
    const headers = { "CF-Connecting-IP": `198.51.100.${status - 390}`, ...basic("some", "wrong") };
    const first = await world.pull("/v2/", { headers, controls: { logins } });
    expect(first.status).toBe(401);
    const again = { ...headers, ...basic("some", "wrong again") };
    expect((await world.pull("/v2/", { headers: again, controls: { logins } })).status).toBe(
      status,
    );
    expect(world.log.some((line) => line.includes('"a wrong login"'))).toBe(true);
  });

  test("has no more tries at once than one after another", async () => {
    const address = "198.51.100.4";
    const tries = Array.from({ length: 30 }, (_, each) =>
      from(address, basic("some", `w ${each}`)),
    );
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(10);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(20);
  });
});

describe("a policy", () => {
  beforeEach(() => {
    world.log.length = 0;
  });

  test.for([
    ["that is no JSON", "{", undefined, /not JSON/],
    ["with a field that is none", '{"users":{},"admin":true}', undefined, /admin: no such field/],
    ["where there is no secret to sign with", '{"users":{}}', "", /it needs NIXPORT_SECRET/],
  ] as const)("%s lets nobody in, and is told to the operator", async ([, policy, secret, why]) => {
    const other = await startWorld({ policy, ...(secret !== undefined && { secret }) });
    for (const path of ["/v2/", manifestPath("git", "latest"), "/token"]) {
      const response = await other.pull(path, { headers: basic("all") });
      const { code, message } = await errorOf(response);
      expect([code, message]).toStrictEqual([
        "UNAVAILABLE",
        "the operator of this registry has to say again who may pull what",
      ]);
    }
    const told = other.log.filter((line) => line.includes("misconfigured"));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(why);
    await other.close();
  });
});
