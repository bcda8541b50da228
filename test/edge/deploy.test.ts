// What is deployed: the Worker's size and bindings in every environment, by wrangler itself, and that the
// same runs under `wrangler dev`.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { digestOf } from "../../registry/naming/digest.ts";
import { pinOf } from "../registry/fixture.ts";
import { type FakeOrigin, startFakeOrigin } from "./fake-origin.ts";
import { imageOf, stockOf } from "./stock.ts";
import { manifestPath } from "./world.ts";

const ROOT = join(import.meta.dirname, "../..");
const DEPLOY = join(ROOT, "origin/command/deploy.ts");
const WRANGLER = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
/** Wrangler tells its maker of its use unless it is told not to, and writes a log into the home. */
const QUIET = { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", CI: "1" };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nixport-deploy-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Deployed {
  readonly code: number | null;
  readonly said: string;
}

async function deploy(...args: readonly string[]): Promise<Deployed> {
  const env = { ...QUIET, XDG_CONFIG_HOME: folder };
  const child = spawn(process.execPath, [DEPLOY, "--checked", "--dry-run", ...args], { env });
  const [[code], stdout, stderr] = await Promise.all([
    once(child, "exit"),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code: code as number | null, said: stdout + stderr };
}

const namesIn = (said: string) =>
  [...said.matchAll(/^env\.([A-Z0-9_]+) /gm)].map(([, name = ""]) => name).sort();

const ENVIRONMENTS: readonly (readonly [name: string, bucket: string, origin: string])[] = [
  ["", "nixport", "http://127.0.0.1:8788"],
  ["staging", "nixport-staging", ""],
  ["production", "nixport-production", ""],
];

describe("npm run deploy", () => {
  let deployed: ReadonlyMap<string, Deployed>;
  beforeAll(async () => {
    const entries = ENVIRONMENTS.map(async ([name]) => {
      const args = name === "" ? [] : ["--env", name];
      return [name, await deploy(...args)] as const;
    });
    deployed = new Map(await Promise.all(entries));
  });

  test.for(ENVIRONMENTS)("has for %j all that the Worker needs", ([name, bucket, origin]) => {
    const { code, said = "" } = deployed.get(name) ?? {};
    expect(code, said).toBe(0);
    expect(said, "wrangler finds nothing odd").not.toMatch(/WARNING/);
    const [, kib = ""] = /^bundle: ([\d.]+) KiB of 400 KiB$/m.exec(said) ?? [];
    expect(Number(kib), said).toBeGreaterThan(100);
    expect(Number(kib)).toBeLessThan(400);
    process.stdout.write(`the Worker of ${name || "the top level"} has ${kib} KiB\n`);
    const bindings = namesIn(deployed.get("")?.said ?? "");
    expect(namesIn(said)).toStrictEqual(bindings);
    expect(bindings).toEqual(
      expect.arrayContaining(["KV", "R2", "ASSETS", "MISS_LIMIT", "KEEP_LIMIT", "LOGIN_LIMIT"]),
    );
    expect(said).toContain(`env.R2 (${bucket}) `);
    expect(said).toContain(`env.ORIGIN_URL ("${origin}")`);
  });

  test("can tell whoever has a Deploy button what each of its questions is", () => {
    const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
    const secrets = read(".dev.vars.example").matchAll(/^([A-Z_]+)=/gm);
    const asked = [...secrets].map(([, name = ""]) => name);
    // Others, the button would require as well.
    expect(asked).toStrictEqual(["NIXPORT_SECRET"]);
    const bindings = namesIn(deployed.get("")?.said ?? "").filter((name) => !/_LIMIT$/.test(name));
    const { cloudflare } = JSON.parse(read("package.json"));
    expect(Object.keys(cloudflare.bindings).sort()).toStrictEqual([...bindings, ...asked].sort());
  });

  test("takes Workers Cache before the entrypoint for blobs, as the comments have it", async () => {
    const text = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
    const config = join(folder, "wrangler.toml");
    const start = text.indexOf("# [cache]");
    const block = text.slice(start, text.indexOf("\n\n", start));
    assert(block.includes("[exports.CachedBlobs]"));
    const enabled = text
      .replace(block, block.replaceAll(/^# ?/gm, ""))
      .replaceAll("ORIGIN_WAIT_SECONDS =", 'WORKERS_CACHE = "on"\n$&')
      .replace('"edge/worker.ts"', JSON.stringify(join(ROOT, "edge/worker.ts")))
      .replace('"page/dist"', JSON.stringify(join(ROOT, "page/dist")));
    await writeFile(config, enabled);
    for (const environment of [[], ["--env", "production"]]) {
      const { code, said } = await deploy(...environment, "--", "--config", config);
      expect(code, said).toBe(0);
      expect(said).not.toMatch(/WARNING/);
    }
  });

  test("refuses an environment that there is none of", async () => {
    const { code, said } = await deploy("--env", "prod");
    expect([code, said]).toStrictEqual([2, "nixport: --env is staging or production, not prod\n"]);
  });

  test("refuses a Worker that has grown too large", async () => {
    const entry = join(folder, "worker.js");
    const page = "x".repeat(500_000);
    await writeFile(entry, `export default { fetch: () => new Response("${page}") };`);
    const { code, said } = await deploy("--", entry, "--config", join(ROOT, "wrangler.toml"));
    expect(code, said).toBe(1);
    expect(said).toMatch(/nixport: the Worker has more than 400 KiB/);
  });
});

describe("wrangler dev", () => {
  let origin: FakeOrigin;
  let child: ChildProcess | undefined;
  beforeAll(async () => {
    origin = await startFakeOrigin();
  });
  afterAll(async () => {
    child?.kill("SIGKILL");
    await origin.stop();
  });

  test("runs the Worker, which answers what its origin has, and stops", async () => {
    const args = [
      ...[
        WRANGLER,
        "dev",
        "--env",
        "",
        "--ip",
        "127.0.0.1",
        "--port",
        "0",
        "--inspector-port",
        "0",
      ],
      ...["--persist-to", folder, "--show-interactive-dev-session=false"],
      ...["--var", `ORIGIN_URL:${origin.url}`],
    ];
    child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { ...QUIET, XDG_CONFIG_HOME: folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const url = await readyUrl(child);
    const ping = await fetch(`${url}/v2/`);
    expect(ping.status).toBe(200);
    expect(ping.headers.get("Docker-Distribution-API-Version")).toBe("registry/2.0");
    const page = await (await fetch(url)).text();
    const [style = ""] = /\/assets\/style-[A-Z0-9]{8}\.css/.exec(page) ?? [];
    expect((await fetch(url + style)).headers.get("Content-Type")).toBe("text/css; charset=utf-8");
    const { manifest } = await imageOf(await stockOf(["git"]), "git");
    const headers = {
      "Content-Type": manifest.mediaType,
      "Docker-Content-Digest": manifest.digest,
      "Nixport-Pin": pinOf("a".repeat(40)),
    };
    origin.answering = () => ({ status: 200, headers, body: manifest.bytes });
    const pulled = await fetch(url + manifestPath("git", "latest"));
    expect(pulled.status).toBe(200);
    expect(await digestOf(await pulled.bytes())).toBe(manifest.digest);
    const ended = once(child, "exit");
    child.kill("SIGINT");
    await ended;
    await expect(fetch(`${url}/v2/`)).rejects.toThrow(/fetch failed/);
  });
});

async function readyUrl({ stdout, stderr }: ChildProcess): Promise<string> {
  assert(stdout && stderr);
  const said: string[] = [];
  createInterface(stderr).on("line", (line) => said.push(line));
  for await (const line of createInterface(stdout)) {
    said.push(line);
    const url = /Ready on (http:\/\/[\d.]+:\d+)/.exec(line)?.[1];
    if (url !== undefined) {
      stdout.resume();
      return url;
    }
  }
  throw new Error(`wrangler dev ended: ${said.join("\n")}`);
}
