// An image's page and its data on the real runtime: of what KV has, with nothing written and no origin asked;
// else what the origin says; and nothing of it to whom the policy refuses the image.

import { afterAll, assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { RegistryError } from "../../../registry/http/error.ts";
import { type ImageAnswer, imageFailed } from "../../../registry/http/image-answer.ts";
import { ingestPath } from "../../../registry/http/route.ts";
import { storePathName } from "../../../registry/naming/store-path.ts";
import { pinOf, tagOf } from "../../registry/fixture.ts";
import { basic, policyOf } from "../access/policy.ts";
import { NOW_MS } from "../controls.ts";
import { registryError } from "../fake-origin.ts";
import { indexOf, sendIndex } from "../package-index/indexed.ts";
import { imageOf, type Stock, stockOf, tagPins } from "../stock.ts";
import {
  cacheStatus,
  elsewhere,
  manifestPath,
  startWorld,
  subrequestsOf,
  type World,
} from "../world.ts";

const PIN = pinOf("1".repeat(40));
const NEXT = pinOf("2".repeat(40));
const DATA = "/api/images";

let world: World;
let stock: Stock;
beforeAll(async () => {
  world = await startWorld();
  stock = await stockOf(["git", "htop", "tree"]);
  await world.backfill(stock, { tag: "latest", pin: PIN });
});
afterAll(() => world.close());

async function dataOf(response: Response): Promise<ImageAnswer> {
  return (await response.json()) as ImageAnswer;
}

describe("an image that is known here", () => {
  test("is told of by the digest, the layers and the pin that a pull has", async () => {
    world.origin.asked.length = 0;
    const response = await world.pull(`${DATA}/git/htop`, { controls: elsewhere() });
    const { manifest } = await imageOf(stock, "git/htop");
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("application/json");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(response.headers.get("Nixport-Pin")).toBe(PIN);
    expect(cacheStatus(response)).toBe("nixport; hit; detail=composed");
    const { image, moves, ...about } = await dataOf(response);
    expect(about).toStrictEqual({
      ...{ repository: "git/htop", tag: "latest", architecture: "amd64" },
      platforms: ["amd64"],
    });
    expect(moves).toStrictEqual([{ pin: PIN, sinceMs: NOW_MS }]);
    assert(image.state === "known");
    const { facts } = image;
    expect(facts).toMatchObject({ pin: PIN, resolvedAtMs: NOW_MS, isNewest: true });
    expect(facts.variants[0]).toMatchObject({ variant: "oci-zstd", digest: manifest.digest });
    const { layers } = JSON.parse(new TextDecoder().decode(manifest.bytes));
    expect(facts.layers.map(({ digest, sizeBytes }) => [digest, sizeBytes])).toStrictEqual(
      layers.map(({ digest, size }: { digest: string; size: number }) => [digest, size]),
    );
    expect(facts.layers.flatMap(({ storePaths }) => storePaths.map(storePathName))).toContain(
      "htop-1.0",
    );
    expect(world.origin.asked).toStrictEqual([]);
  });

  test("costs the reads of composing it, and writes nothing", async () => {
    const names = ["htop/tree", "git/tree"];
    const pulled = await world.pull(manifestPath(`${names[0]}`, "latest"), {
      controls: elsewhere(),
    });
    await pulled.body?.cancel();
    const composing = subrequestsOf(pulled).before;
    for (const path of [`${DATA}/${names[1]}`, `/i/${names[1]}`]) {
      const response = await world.pull(path, { controls: elsewhere() });
      expect(response.status).toBe(200);
      await response.body?.cancel();
      const { before, all } = subrequestsOf(response);
      expect(Object.keys(all).filter((name) => /put|delete/i.test(name))).toStrictEqual([]);
      const sum = (operations: object) =>
        Object.values(operations).reduce((total: number, count) => total + Number(count), 0);
      expect(sum(before), JSON.stringify({ before, composing })).toBeLessThanOrEqual(
        sum(composing),
      );
    }
  });

  test("has a page that says it without a script, and HEAD of it", async () => {
    const response = await world.pull("/i/git/htop:latest");
    const text = await response.text();
    const { manifest } = await imageOf(stock, "git/htop");
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(response.headers.get("Content-Security-Policy")).toContain("style-src 'self'");
    expect(text).toContain(`@${manifest.digest}`);
    expect(text).toContain("htop-1.0");
    for (const path of ["/i/git/htop", `${DATA}/git/htop`]) {
      const [get, head] = [await world.pull(path), await world.pull(path, { method: "HEAD" })];
      expect(await head.text()).toBe("");
      expect(head.status).toBe(get.status);
      for (const name of ["Content-Length", "Content-Type", "Cache-Control", "Nixport-Pin"]) {
        expect(head.headers.get(name), name).toBe(get.headers.get(name));
      }
      await get.body?.cancel();
    }
  });

  test("keeps being told of at its earlier pin, with where the tag led", async () => {
    const newer = await stockOf(["tree"], "-2");
    const tag = "moving";
    await world.backfill(stock, { tag, pin: PIN, resolvedAtMs: NOW_MS - 5000 });
    await world.backfill(newer, { tag, pin: NEXT, resolvedAtMs: NOW_MS - 1000 });
    const { image, moves } = await dataOf(await world.pull(`${DATA}/git:${tag}`));
    expect(moves).toStrictEqual([
      { pin: NEXT, sinceMs: NOW_MS - 1000 },
      { pin: PIN, sinceMs: NOW_MS - 5000 },
    ]);
    assert(image.state === "known");
    expect(image.facts).toMatchObject({ pin: PIN, isNewest: false });
    const tree = await dataOf(await world.pull(`${DATA}/tree:${tag}`));
    assert(tree.image.state === "known");
    expect(tree.image.facts).toMatchObject({ pin: NEXT, isNewest: true });
  });
});

describe("an image that is not known here", () => {
  const told = (image: ImageAnswer["image"], status: number) => {
    const about = { repository: "other", tag: tagOf("latest"), architecture: "amd64" } as const;
    const answer: ImageAnswer = { ...about, platforms: ["amd64"], moves: [], image };
    return () => ({
      status,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(answer),
    });
  };

  test("is what the origin says, asked by one signed request for the platform", async () => {
    const error = new RegistryError("MANIFEST_UNKNOWN", "<b>no</b> package absent", {
      detail: [{ package: "absent", reason: "missing", near: ["absinth"] }],
    });
    world.origin.answering = told(imageFailed(error, null), 404);
    world.origin.asked.length = 0;
    const response = await world.pull(`${DATA}/absent`);
    expect(response.status).toBe(404);
    const answer = await dataOf(response);
    expect(answer.repository).toBe("absent");
    expect(answer.image).toMatchObject({ state: "failed", message: "<b>no</b> package absent" });
    const [asked] = world.origin.asked;
    expect(asked?.path).toBe("/api/images/absent?platform=linux/amd64");
    expect(asked?.headers.authorization).toMatch(/^Bearer /);
    const page = await world.pull("/i/absent");
    const text = await page.text();
    expect(page.status).toBe(404);
    expect(text).toContain("absinth");
    expect(text).toContain("&lt;b&gt;no&lt;/b&gt; package absent");
  });

  test("is unknown where nobody has made it, and where nobody can say", async () => {
    world.origin.answering = told({ state: "unknown", message: "nobody has pulled it" }, 404);
    expect(await (await world.pull("/i/unmade")).text()).toContain("Not made yet");
    world.origin.answering = () => ({ status: 200, body: "<html>a proxy's page</html>" });
    const nonsense = await world.pull(`${DATA}/unmade`);
    expect(nonsense.status).toBe(404);
    expect((await dataOf(nonsense)).image).toMatchObject({ state: "unknown" });
    await world.origin.stop();
    onTestFinished(() => world.origin.start());
    const alone = await world.pull("/i/unmade");
    expect(alone.status).toBe(404);
    expect(await alone.text()).toContain("cannot be reached");
  });

  test("is refused where the origin refuses the name itself", async () => {
    world.origin.answering = () => registryError(404, "NAME_UNKNOWN", "no such page");
    const response = await world.pull(`${DATA}/unmade`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ errors: [{ code: "NAME_UNKNOWN" }] });
  });

  test("is told of by the package index without the origin, with the names that are near", async () => {
    const pin = pinOf("3".repeat(40));
    await sendIndex(world, await indexOf(stock, pin));
    const tag = { tag: tagOf("indexed"), pins: tagPins(stock, pin, NOW_MS) };
    const pointed = await world.push("POST", ingestPath.pointers, { tag, image: null });
    assert(pointed.ok, await pointed.text());
    await world.origin.stop();
    onTestFinished(() => world.origin.start());
    const absent = await world.pull(`${DATA}/gti:indexed`);
    expect(absent.status).toBe(404);
    expect(cacheStatus(absent)).toBe("nixport; hit; detail=package-index");
    const detail = [{ package: "gti", reason: "missing", near: ["git"] }];
    expect((await dataOf(absent)).image).toMatchObject({ state: "failed", detail });
    const known = await dataOf(await world.pull(`${DATA}/git:indexed`));
    expect(known.image).toMatchObject({ state: "known", facts: { pin, isNewest: true } });
  });

  test("costs its network what a miss costs", async () => {
    world.origin.answering = told({ state: "unknown", message: "nobody" }, 404);
    const controls = { limiter: "refuses" } as const;
    for (const path of ["/i/unmade", `${DATA}/unmade`]) {
      const response = await world.pull(path, { controls });
      expect(response.status).toBe(429);
      await response.body?.cancel();
    }
    expect((await world.pull("/i/git", { controls })).status).toBe(200);
  });

  test.for(["?platform=linux/arm64", "?platform=x"])(
    "is none for another platform: %s",
    async (query) => {
      const response = await world.pull(`${DATA}/git${query}`);
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ errors: [{ code: "MANIFEST_UNKNOWN" }] });
    },
  );
});

test("a policy shows an image to whom it lets pull it, and asks a browser's user who it is", async () => {
  const guarded = await startWorld({ policy: await policyOf("http://127.0.0.1:1") });
  onTestFinished(() => guarded.close());
  await guarded.backfill(stock, { tag: "latest", pin: PIN });
  const statusOf = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
    const response = await guarded.pull(path, { headers });
    const text = await response.text();
    const challenge = response.headers.get("WWW-Authenticate")?.split(" ")[0] ?? null;
    expect(text.includes("git-1.0")).toBe(response.status === 200 && path.includes("git"));
    expect(response.headers.get("Cache-Control")).toContain("no-store");
    return [response.status, challenge];
  };
  expect(await statusOf("/i/tree")).toStrictEqual([200, null]);
  expect(await statusOf("/i/git")).toStrictEqual([401, "Basic"]);
  expect(await statusOf(`${DATA}/git`)).toStrictEqual([401, "Nixport"]);
  for (const path of ["/i", DATA]) {
    expect(await statusOf(`${path}/git`, basic("some"))).toStrictEqual([200, null]);
    expect(await statusOf(`${path}/git/htop`, basic("some"))).toStrictEqual([403, null]);
    expect(await statusOf(`${path}/git/htop`, basic("all"))).toStrictEqual([200, null]);
  }
});
