// Who may pull what from an edge, on the real runtime: no route goes round the gate, and a digest is no
// right to anything.

import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { EVENT_STREAM_HEADERS } from "../../../registry/http/event-stream.ts";
import type { Route } from "../../../registry/http/route.ts";
import type { Digest } from "../../../registry/naming/digest.ts";
import { startIssuer, type TestIssuer } from "../../registry/access/issuer.ts";
import { digestOfText, pinOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { imageOf, type Stock, stockOf } from "../stock.ts";
import {
  elsewhere,
  errorOf,
  manifestPath,
  operationsOf,
  startWorld,
  type World,
} from "../world.ts";
import { basic, EXPIRED_ROBOT, policyOf, ROBOT } from "./policy.ts";

const PIN = pinOf("1".repeat(40));
const ABSENT = digestOfText("absent");

let world: World;
let issuer: TestIssuer;
let stock: Stock;

beforeAll(async () => {
  issuer = await startIssuer(NOW_MS);
  world = await startWorld({ policy: await policyOf(issuer.url) });
  stock = await stockOf(["git", "htop", "tree"]);
  // git is kept, the others are composed.
  await world.backfill(stock, { tag: "latest", pin: PIN, repositories: ["git"] });
});

afterAll(async () => {
  await world.close();
  await issuer.stop();
});

describe("a route", () => {
  /** A new kind of route is one more row, or this does not compile. */
  const paths: Readonly<Record<Route["kind"], readonly string[]>> = {
    ping: ["/v2/", "/v2"],
    manifest: [manifestPath("git", "latest"), manifestPath("git", ABSENT)],
    blob: [`/v2/git/blobs/${ABSENT}`],
    tags: ["/v2/git/tags/list"],
    referrers: [`/v2/git/referrers/${ABSENT}`],
  };
  const rows = Object.values(paths).flatMap((each) =>
    each.flatMap((path) => ["GET", "HEAD"].map((method) => [method, path] as const)),
  );

  test.for(rows)("asks who it is: %s %s", async ([method, path]) => {
    for (const headers of [
      {},
      basic("all", "wrong"),
      EXPIRED_ROBOT,
      { Authorization: "Bearer x" },
    ]) {
      const response = await world.pull(path, { method, headers, controls: elsewhere() });
      expect(response.status).toBe(401);
      const challenge = response.headers.get("WWW-Authenticate") ?? "";
      expect(challenge).toMatch(/^Bearer realm="http:\/\/[^"]+\/token",service="[^"]+"/);
      expect(challenge.includes('scope="repository:git:pull"')).toBe(path.length > 5);
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      expect((await response.text()) === "").toBe(method === "HEAD");
    }
  });

  test.for(rows)("says nothing to whom no rule lets in: %s %s", async ([method, path]) => {
    const response = await world.pull(path, { method, headers: basic("none") });
    await response.body?.cancel();
    expect(response.status).toBe(path.length > 5 ? 403 : 200);
  });

  test("of a range, and under a condition, is one as well", async () => {
    const { manifest } = await imageOf(stock, "git");
    for (const headers of [
      { Range: "bytes=0-1" },
      { Range: "bytes=0-1,3-4" },
      { "If-None-Match": `"${manifest.digest}"` },
      { "If-None-Match": "*" },
    ]) {
      const response = await world.pull(manifestPath("git", manifest.digest), { headers });
      expect(response.status).toBe(401);
    }
  });

  test("lets an origin in by its own word alone", async () => {
    const response = await world.pull("/ingest/records", { method: "POST", headers: basic("all") });
    expect(response.status).toBe(401);
    expect(response.headers.get("WWW-Authenticate")).toBe("Nixport");
  });
});

describe("the progress of an image", () => {
  test.for([
    ["git", {}, 401],
    ["tree", {}, 200],
    ["git", basic("all"), 200],
    ["git", basic("some"), 200],
    ["git/htop", basic("some"), 403],
    ["git", basic("none"), 403],
    ["git", basic("all", "wrong"), 401],
  ] as const)("%s is for those who may pull it", async ([name, headers, status]) => {
    world.origin.asked.length = 0;
    world.origin.answering = ({ path }) =>
      path.startsWith("/api/progress/")
        ? { status: 200, headers: EVENT_STREAM_HEADERS, body: "event: idle\ndata: {}\n\n" }
        : undefined;
    const response = await world.pull(`/api/progress/${name}`, { headers });
    expect(response.status, await response.text()).toBe(status);
    const asked = world.origin.asked.filter(({ path }) => path.startsWith("/api/"));
    expect(asked).toHaveLength(status === 200 ? 1 : 0);
    if (status === 200) {
      expect(response.headers.get("Cache-Control")).toBe("private, no-store, no-transform");
    }
    world.origin.answering = () => undefined;
  });
});

describe("a name", () => {
  test.for([
    ["git", {}, 401],
    ["tree", {}, 200],
    ["tree/git", {}, 401],
    ["tree/cacert", {}, 200],
    ["git", basic("all"), 200],
    ["git/htop/tree", basic("all"), 200],
    ["git", basic("some"), 200],
    ["git", ROBOT, 200],
    ["htop", ROBOT, 403],
    ["git/htop", basic("some"), 403],
    ["tree", basic("some"), 403],
  ] as const)("%s is for some", async ([name, headers, status]) => {
    const response = await world.pull(manifestPath(name, "latest"), {
      headers,
      controls: elsewhere(),
    });
    expect(response.status, await response.text()).toBe(status);
    if (status === 200) {
      expect(response.headers.get("Cache-Control")).toBe("private, no-store, no-transform");
      expect(response.headers.get("Vary")).toMatch(/Authorization/);
    }
  });

  test("that may not be had is not asked for at the origin, which would make it", async () => {
    world.origin.asked.length = 0;
    world.origin.answering = ({ headers }) =>
      headers["nixport-meaning"] === undefined
        ? undefined
        : { status: 200, body: JSON.stringify({ meanings: [meaningOf("jq")] }) };
    const response = await world.pull(manifestPath("jq", "latest"), { headers: ROBOT });
    expect((await errorOf(response)).code).toBe("DENIED");
    expect(world.origin.asked.map(({ headers }) => headers["nixport-meaning"])).toStrictEqual([
      "tag",
    ]);
    expect(world.origin.asked[0]?.headers.authorization).toMatch(/^Bearer /);
  });

  test.for([
    [
      "what",
      "an older origin, which answers with something else",
      { status: 200, body: '{"config":{}}' },
    ],
    ["else", "one that does not answer", { status: 502, body: "" }],
  ] as const)("%s is nobody's where %s cannot say what it means", async ([name, , told]) => {
    world.origin.answering = () => told;
    const response = await world.pull(manifestPath(name, "latest"), { headers: ROBOT });
    expect((await errorOf(response)).code).toBe("UNAVAILABLE");
  });

  test("counts by what it meant at the revision that answers", async () => {
    // The tag's pins say git; what is answered is of another pin, at which git is something else.
    const { manifest } = await imageOf(stock, "git");
    const other = pinOf("2".repeat(40));
    world.origin.answering = ({ path, headers }) => {
      const asked = headers["nixport-meaning"];
      if (asked === "tag")
        return { status: 200, body: JSON.stringify({ meanings: [meaningOf("git")] }) };
      if (asked === other)
        return { status: 200, body: JSON.stringify({ meanings: [meaningOf("htop")] }) };
      return path.includes("/manifests/")
        ? {
            status: 200,
            headers: {
              "Content-Type": manifest.mediaType,
              "Docker-Content-Digest": manifest.digest,
              "Nixport-Pin": other,
            },
            body: manifest.bytes,
          }
        : undefined;
    };
    const asked = { headers: ROBOT, controls: elsewhere() };
    const response = await world.pull(manifestPath("git", "moving"), asked);
    expect((await errorOf(response)).code).toBe("DENIED");
  });
});

function meaningOf(name: string) {
  return { pin: PIN, words: [], named: [name], held: [name], unknown: [] };
}

describe("a policy", () => {
  test.for([
    ["nothing, where somebody may pull everything", basic("all"), 0, 0],
    ["two reads else, of the tag's revisions and of the names, and then the first", ROBOT, 2, 1],
  ] as const)("costs a pull %s at most", async ([, headers, cold, warm]) => {
    const readsOf = async (controls = {}) => {
      const path = manifestPath("git", "latest");
      const response = await world.pull(path, { headers, controls });
      await response.body?.cancel();
      return (operationsOf(response) as Record<string, number>)["kv.get"] ?? 0;
    };
    // Where KV is slow the origin is asked instead.
    expect(await readsOf(elsewhere())).toBeLessThanOrEqual(cold);
    await readsOf();
    expect(await readsOf()).toBeLessThanOrEqual(warm);
  });
});

describe("a digest", () => {
  /** Each with the same of the others' images, which are not one's own. */
  async function digestsOf(name: string): Promise<readonly [path: string, digest: Digest][]> {
    const { config, manifest } = await imageOf(stock, name);
    const { layers } = JSON.parse(new TextDecoder().decode(manifest.bytes)) as {
      layers: readonly { digest: Digest }[];
    };
    const own = layers.find(({ digest }) => {
      const text = new TextDecoder().decode(stock.blobs.get(digest));
      return text.startsWith(`bundle ${name}`);
    });
    assert(own);
    return [
      ["manifests", manifest.digest],
      ["blobs", config.digest],
      ["blobs", own.digest],
    ];
  }

  async function statusesOf(name: string, of: string, headers: Readonly<Record<string, string>>) {
    const statuses: number[] = [];
    for (const [collection, digest] of await digestsOf(of)) {
      const path = `/v2/${name}/${collection}/${digest}`;
      const response = await world.pull(path, { headers, controls: elsewhere() });
      await response.body?.cancel();
      statuses.push(response.status);
    }
    return statuses;
  }

  const NOBODYS = { status: 200, body: '{"meanings":[]}' };

  test.for([
    ["git", "git", ROBOT, [200, 200, 200]],
    ["cacert/git", "git", ROBOT, [200, 200, 200]],
    ["git", "htop", ROBOT, [404, 404, 404]],
    ["git", "tree", ROBOT, [404, 404, 404]],
    ["htop", "htop", ROBOT, [403, 403, 403]],
    ["git/htop", "htop", ROBOT, [404, 404, 403]],
    ["tree", "git", {}, [401, 401, 401]],
    ["tree", "tree", {}, [200, 200, 200]],
    ["git", "git", {}, [401, 401, 401]],
    ["git", "htop", basic("all"), [404, 404, 200]],
  ] as const)("under %s gives of %s", async ([name, of, headers, expected]) => {
    world.origin.answering = ({ headers: asked }) =>
      asked["nixport-meaning"] === undefined ? undefined : NOBODYS;
    expect(await statusesOf(name, of, headers)).toStrictEqual(expected);
  });

  test("of a manifest that is asked for over and over is no more anybody's for that", async () => {
    const { manifest } = await imageOf(stock, "git");
    const { location = "" } = elsewhere();
    const controls = { location, isolate: location };
    const answers = [basic("all"), basic("all"), basic("all"), basic("none"), {}, ROBOT];
    const given = [];
    for (const headers of answers) {
      const response = await world.pull(manifestPath("git", manifest.digest), {
        headers,
        controls,
      });
      await response.body?.cancel();
      given.push([
        response.status,
        /private|no-store/.test(response.headers.get("Cache-Control") ?? ""),
      ]);
    }
    expect(given).toStrictEqual([200, 200, 200, 403, 401, 200].map((status) => [status, true]));
  });

  test("that only the origin can tell of counts by its word", async () => {
    const [, digest] = (await digestsOf("git"))[2] ?? [];
    world.origin.answering = ({ headers }) =>
      headers["nixport-meaning"] === "digest"
        ? { status: 200, body: JSON.stringify({ meanings: [meaningOf("git")] }) }
        : undefined;
    const path = `/v2/git/htop/blobs/${digest}`;
    const response = await world.pull(path, { headers: ROBOT, controls: elsewhere() });
    // As a layer of git alone, which git/htop is not; the word of its origin is taken for what it means.
    expect(response.status).toBe(200);
  });

  test("is nobody's where neither edge nor origin can tell, and then 503", async () => {
    world.origin.answering = () => ({ status: 502, body: "" });
    const path = `/v2/git/blobs/${ABSENT}`;
    const response = await world.pull(path, { headers: ROBOT, controls: elsewhere() });
    expect((await errorOf(response)).code).toBe("UNAVAILABLE");
  });

  test("of a layer is found without storage once its manifest was given", async () => {
    const where = elsewhere();
    const shared = { headers: ROBOT, controls: { ...where, coldMemory: false } };
    await (await world.pull(manifestPath("git", "latest"), shared)).text();
    world.origin.asked.length = 0;
    for (const [collection, digest] of await digestsOf("git")) {
      const response = await world.pull(`/v2/git/${collection}/${digest}`, shared);
      expect(response.status).toBe(200);
      expect(response.headers.get("Cache-Control")).toBe("private, no-store, no-transform");
      await response.body?.cancel();
    }
    expect(world.origin.asked).toStrictEqual([]);
  });
});
