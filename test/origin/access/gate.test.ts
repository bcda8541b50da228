// Who may pull what: a package set with more than one way to everything, and a policy that is asked by each
// of them, at an origin by itself and at an edge in front of it.

import { realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { startEdge } from "../../../origin/command/workerd.ts";
import { hashPassword } from "../../../registry/access/password.ts";
import { freePort } from "../../free-port.ts";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { plantFrontSet } from "../front-set.ts";
import { type House, type Pulled, REPOSITORY_PREFIX, startHouse } from "../house.ts";

const atEnd = endOfFile();
const SECRET = "the secret of these tests";
let house: House;
let edgeUrl: string;
let setPath: string;
let policy: string;

const basic = (name: string) => ({ Authorization: `Basic ${btoa(`${name}:a password`)}` });
const ALL = basic("all");
const SOME = basic("some");
const REST = basic("rest");

/** `hello` is what some may not have and others may, by every name that leads to it. */
const MORE_NAMES = `
  hi = house.hello;
  Greeter = house.hello;
  "hello+" = house.hello;
  deep.down.hello = house.hello;
  pkgs = house;
  nixportImages = {
    greeting.contents = [ house.hello ];
    tooling.contents = [ house.tools ];
  };
`;

beforeAll(async () => {
  const inner = await realpath(await plantFrontSet(atEnd));
  const path = await temporaryDirectory(atEnd);
  await writeFile(
    join(path, "default.nix"),
    `let house = import ${inner}; in house // {${MORE_NAMES}}`,
  );
  const password = await hashPassword("a password", 1000);
  policy = JSON.stringify({
    users: {
      ...{ all: { password }, some: { password }, rest: { password } },
      operator: { password, operator: true },
    },
    rules: [
      { who: "all", allow: { names: "*" } },
      { who: "some", allow: { packages: ["hullo", "sh", "nested.*", "shell", "tooling"] } },
      { who: "rest", allow: { names: "*" }, deny: { packages: ["hello", "nested", "nano"] } },
      { who: "anonymous", allow: { names: ["sh", "hullo/sh"] } },
    ],
  });
  setPath = path;
  const port = await freePort();
  edgeUrl = `http://127.0.0.1:${port}`;
  house = await startHouse(atEnd, path, await temporaryDirectory(atEnd), {
    ...{ NIXPORT_POLICY: policy, NIXPORT_SECRET: SECRET, NIXPORT_EDGE_URL: edgeUrl },
  });
  const edge = await startEdge({
    ...{ port, statePath: await temporaryDirectory(atEnd), policy, secret: SECRET },
    ...{ originUrl: house.origin.url, onLog: () => {} },
    platforms: [process.arch === "arm64" ? "arm64" : "amd64"],
  });
  atEnd(() => edge.close());
});

/** From the origin, and through the edge twice: what that knew before is what it was asked for. */
async function tag(name: string, headers: Readonly<Record<string, string>>) {
  const path = `/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`;
  const told: string[] = [];
  for (const url of [house.origin.url, edgeUrl, edgeUrl]) {
    const response = await fetch(url + path, { headers });
    const text = await response.text();
    told.push(response.ok ? "200" : `${response.status} ${JSON.parse(text).errors[0].code}`);
  }
  return told;
}

describe("a policy", () => {
  test.for([
    // Whatever leads to a package that is refused, or that is not among those that are allowed.
    ["hello", "refused", "refused"],
    ["hi", "refused", "refused"],
    ["greeter", "refused", "refused"],
    ["0--47reeter", "refused", "refused"],
    ["hello--2b", "refused", "refused"],
    ["pkgs.hello", "refused", "refused"],
    ["pkgs.pkgs.hello", "refused", "unknown"],
    ["hello.out", "refused", "refused"],
    ["deep.down.hello", "refused", "refused"],
    ["sh/hello", "refused", "refused"],
    ["hello/sh", "refused", "refused"],
    ["cacert/hello", "refused", "refused"],
    ["nonroot/hello", "refused", "refused"],
    ["greeting", "refused", "refused"],
    ["hullo/greeting", "refused", "refused"],
    ["nested.inner", "given", "refused"],
    ["nested.0--49nner", "given", "refused"],
    ["pkgs.nested.inner", "given", "refused"],
    ["shell/sh", "given", "refused"],
    ["nano", "given", "refused"],
    ["hullo", "given", "given"],
    ["hullo.out", "given", "given"],
    ["pkgs.hullo", "given", "given"],
    ["hullo/hullo", "given", "given"],
    ["sh/hullo", "given", "given"],
    ["nonroot/hullo", "given", "given"],
    ["tooling", "given", "given"],
    ["tools", "refused", "given"],
    ["unheard-of", "refused", "unknown"],
    ["nested.unheard-of", "unknown", "refused"],
  ] as const)("of %s: %s to some, %s to the rest", async ([name, some, rest]) => {
    const all = { given: "200", refused: "403 DENIED", unknown: "404 MANIFEST_UNKNOWN" } as const;
    for (const [headers, expected] of [
      [SOME, some],
      [REST, rest],
    ] as const) {
      const said = all[expected];
      expect(await tag(name, headers)).toStrictEqual([said, said, said]);
    }
  });
});

describe("a page", () => {
  /** At the origin, and at the edge. */
  const ask = async (path: string, headers: Readonly<Record<string, string>>) => {
    const answers = await Promise.all(
      [house.origin.url, edgeUrl].map((url) => fetch(url + path, { headers })),
    );
    const [atOrigin, atEdge] = answers.map(({ status, headers: told }) => ({
      status,
      asks: told.get("WWW-Authenticate"),
      kept: told.get("Cache-Control"),
    }));
    await Promise.all(answers.map(({ body }) => body?.cancel()));
    expect(atEdge).toStrictEqual(atOrigin);
    return atOrigin;
  };
  const BASIC = 'Basic realm="nixport", charset="UTF-8"';
  const WRONG = { Authorization: `Basic ${btoa("all:another password")}` };
  const image = `${REPOSITORY_PREFIX}hello`;

  test("at / is for anyone, and asks for a name where it is asked to", async () => {
    expect(await ask("/", {})).toMatchObject({ status: 200, asks: null });
    expect(await ask("/?login", {})).toMatchObject({ status: 401, asks: BASIC });
    expect(await ask("/?login", SOME)).toMatchObject({ status: 200 });
    expect(await ask("/", WRONG)).toMatchObject({ status: 401, asks: BASIC });
  });

  test("of an image is for whoever may pull it", async () => {
    const about = [`/i/${image}`, `/api/images/${image}`];
    for (const path of about) {
      expect(await ask(path, SOME), path).toMatchObject({ status: 403 });
      expect(await ask(path, REST), path).toMatchObject({ status: 403 });
      expect([200, 404], path).toContain((await ask(path, ALL))?.status);
    }
    expect(await ask(about[0] ?? "", {})).toMatchObject({ status: 401, asks: BASIC });
    // Else a page that asks for data would have the browser interrupt whoever reads it.
    expect(await ask(about[1] ?? "", {})).toMatchObject({ status: 401, asks: "Nixport" });
  });

  test("of operators there is for operators alone, and is in no cache", async () => {
    const kept = "private, no-store, no-transform";
    for (const path of ["/operator", "/api/operator"]) {
      expect(await ask(path, basic("operator")), path).toMatchObject({ status: 200, kept });
      // As a page that there is not.
      for (const headers of [{}, ALL, SOME]) {
        expect((await ask(path, headers))?.status, path).toBe(404);
      }
      expect(await ask(path, WRONG), path).toMatchObject({ status: 401 });
    }
  });

  test("has the index for whoever may pull anything, in no cache that others read", async () => {
    const told = await ask("/api/index", SOME);
    expect(told).toMatchObject({ status: 200, kept: "private, no-store, no-transform" });
  });
});

/** What somebody gets of a digest under a name by GET, by HEAD and in part, be it at the origin or the edge. */
async function statusesOf(name: string, headers: Readonly<Record<string, string>>, what: string) {
  const path = `/v2/${REPOSITORY_PREFIX}${name}/${what}`;
  const said: (readonly number[])[] = [];
  for (const url of [house.origin.url, edgeUrl]) {
    const answers = await Promise.all([
      fetch(url + path, { headers }),
      fetch(url + path, { headers, method: "HEAD" }),
      fetch(url + path, { headers: { ...headers, Range: "bytes=0-1" } }),
    ]);
    await Promise.all(answers.map((answer) => answer.body?.cancel()));
    said.push(answers.map(({ status }) => status));
  }
  const [atOrigin, atEdge] = said;
  expect(atEdge).toStrictEqual(atOrigin);
  return atOrigin;
}

describe("a digest", () => {
  let hello: Pulled;
  let hullo: Pulled;
  /** Layers of one image that the other has not, and of both. */
  let own: string;
  let shared: string;

  beforeAll(async () => {
    hello = await house.pull("hello", ALL);
    hullo = await house.pull("hullo", ALL);
    const others = new Set(hullo.manifest.layers.map(({ digest }) => digest));
    const digests = hello.manifest.layers.map(({ digest }) => digest);
    own = digests.find((digest) => !others.has(digest)) ?? "";
    shared = digests.find((digest) => others.has(digest)) ?? "";
  });

  const given = [200, 200, 206];
  const refused = [403, 403, 403];
  const unknown = [404, 404, 404];

  test("of an image is given under a name of that image, to whom may have it", async () => {
    const manifest = `manifests/${hullo.digest}`;
    expect(await statusesOf("hullo", SOME, manifest)).toStrictEqual([200, 200, 200]);
    expect(await statusesOf("pkgs.hullo", SOME, manifest)).toStrictEqual([200, 200, 200]);
    expect(await statusesOf("sh", SOME, manifest)).toStrictEqual(unknown);
    expect(await statusesOf("hello", SOME, `manifests/${hello.digest}`)).toStrictEqual(refused);
    expect(await statusesOf("hullo", SOME, `manifests/${hello.digest}`)).toStrictEqual(unknown);
    expect(await statusesOf("hullo", ALL, `manifests/${hello.digest}`)).toStrictEqual([
      200, 200, 200,
    ]);
  });

  test("of a layer or a config is given where an image of the name holds it", async () => {
    expect(await statusesOf("hullo", SOME, `blobs/${shared}`)).toStrictEqual(given);
    expect(await statusesOf("hullo", SOME, `blobs/${own}`)).toStrictEqual(unknown);
    expect(await statusesOf("hello", SOME, `blobs/${own}`)).toStrictEqual(refused);
    expect(await statusesOf("hello", SOME, `blobs/${shared}`)).toStrictEqual(refused);
    const config = `blobs/${hullo.manifest.config.digest}`;
    expect(await statusesOf("hullo", SOME, config)).toStrictEqual(given);
    expect(await statusesOf("sh", SOME, config)).toStrictEqual(unknown);
    expect(await statusesOf("hullo", {}, config)).toStrictEqual([401, 401, 401]);
  });

  test("is given by an origin that has just started, and remembers nothing", async () => {
    const again = await startHouse(atEnd, setPath, house.statePath, { NIXPORT_POLICY: policy });
    for (const what of [`manifests/${hullo.digest}`, `blobs/${hullo.manifest.config.digest}`]) {
      const path = `/v2/${REPOSITORY_PREFIX}hullo/${what}`;
      const response = await again.request(path, { headers: SOME });
      expect(response.status, await response.text()).toBe(200);
    }
    await again.origin.close();
  });
});
