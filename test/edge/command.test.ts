// The edge as a process: the Worker's own entry, its state across restarts, how it starts and ends.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { localSecret } from "../../origin/command/local-secret.ts";
import { parseSecretKeys, signRequest } from "../../registry/between/token.ts";
import { ingestPath } from "../../registry/http/route.ts";
import { digestOf } from "../../registry/naming/digest.ts";

const COMMAND = fileURLToPath(new URL("../../origin/command/edge.ts", import.meta.url));
const BYTES = new TextEncoder().encode("kept across a restart");

interface Running {
  readonly url: string;
  readonly child: ChildProcess;
}

describe("npm run edge", () => {
  let statePath: string;
  beforeAll(async () => {
    statePath = await mkdtemp(join(tmpdir(), "nixport-command-"));
  });
  afterAll(() => rm(statePath, { recursive: true, force: true }));

  function spawnEdge(args: readonly string[], env: Readonly<Record<string, string>>) {
    const { NIXPORT_SECRET: _, ...inherited } = process.env;
    return spawn(process.execPath, [COMMAND, ...args], {
      env: { ...inherited, NIXPORT_STATE: statePath, EDGE_PORT: "0", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  async function start(env: Readonly<Record<string, string>> = {}): Promise<Running> {
    const child = spawnEdge([], env);
    for await (const line of createInterface(child.stdout)) {
      const url = /^edge at (http:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1];
      assert(url, line);
      return { url, child };
    }
    throw new Error("the edge ended before it was ready");
  }

  async function ended(child: ChildProcess): Promise<number | null> {
    const [code] = (await once(child, "exit")) as [number | null];
    return code;
  }

  test("keeps what it took, and exits 0 at SIGTERM and SIGINT", async () => {
    const first = await start();
    const digest = await digestOf(BYTES);
    const keys = parseSecretKeys(await localSecret(statePath, {}));
    assert(typeof keys !== "string");
    const { pathname } = new URL(ingestPath.blob(digest), first.url);
    // The real clock: this is the Worker as it is deployed.
    const token = await signRequest(keys, "origin", { method: "PUT", path: pathname }, Date.now());
    const put = await fetch(first.url + pathname, {
      method: "PUT",
      headers: { Authorization: `Bearer ${token}` },
      body: BYTES,
    });
    expect(put.status).toBe(201);
    first.child.kill("SIGTERM");
    expect(await ended(first.child)).toBe(0);

    const second = await start();
    const got = await fetch(`${second.url}/v2/any/blobs/${digest}`);
    expect(await got.bytes()).toStrictEqual(BYTES);
    second.child.kill("SIGINT");
    expect(await ended(second.child)).toBe(0);
  });

  test("gives its runtime no secret, whatever is in its own environment", async () => {
    const secrets = { NIXPORT_SECRET: "of edge and origin", AWS_SECRET_ACCESS_KEY: "of a cache" };
    const { child } = await start(secrets);
    const runtimes = await descendants(child.pid);
    expect(runtimes.length).toBeGreaterThan(0);
    for (const pid of runtimes) {
      const environment = await readFile(`/proc/${pid}/environ`, "utf8");
      const names = environment.split("\0").map((each) => each.split("=", 1)[0]);
      expect(names).toContain("PATH");
      for (const [name, value] of Object.entries(secrets)) {
        expect(names).not.toContain(name);
        expect(environment).not.toContain(value);
        expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).not.toContain(value);
      }
    }
    child.kill("SIGTERM");
    expect(await ended(child)).toBe(0);
  });

  test("says in words that a port is taken", async () => {
    const running = await start();
    const other = spawnEdge([], { EDGE_PORT: new URL(running.url).port });
    let said = "";
    other.stderr.on("data", (chunk) => {
      said += chunk;
    });
    expect(await ended(other)).toBe(1);
    expect(said).toMatch(/^nixport: .*another program has the port; PORT and EDGE_PORT/);
    running.child.kill("SIGTERM");
    await ended(running.child);
  });

  test("leaves the port free when it is killed", async () => {
    const killed = await start();
    killed.child.kill("SIGKILL");
    await ended(killed.child);
    const { port } = new URL(killed.url);
    const next = spawnEdge([], { EDGE_PORT: port });
    const [line] = (await once(createInterface(next.stdout), "line")) as [string];
    expect(line).toBe(`edge at ${killed.url}`);
    next.kill("SIGTERM");
    await ended(next);
  });

  test.for([
    ["helps", ["--help"], {}, 0, /^usage: npm run edge/],
    ["refuses platforms that are none", [], { NIXPORT_PLATFORMS: "arm" }, 1, /NIXPORT_PLATFORMS/],
    ["refuses a port that is none", [], { EDGE_PORT: "http" }, 1, /EDGE_PORT is "http"/],
  ] as const)("%s", async ([, args, env, code, said]) => {
    const child = spawnEdge(args, env);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        output += chunk;
      });
    }
    expect(await ended(child)).toBe(code);
    expect(output).toMatch(said);
  });
});

/** The processes that a process has started, and those that they have. */
async function descendants(pid: number | undefined): Promise<readonly number[]> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, "utf8")),
  );
  const children = lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
  return [...children, ...(await Promise.all(children.map(descendants))).flat()];
}

describe("localSecret", () => {
  let statePath: string;
  beforeAll(async () => {
    statePath = join(await mkdtemp(join(tmpdir(), "nixport-secret-")), "state");
  });
  afterAll(() => rm(statePath, { recursive: true, force: true }));

  test("is one for all who start at once, readable by their user alone", async () => {
    const secrets = await Promise.all(Array.from({ length: 20 }, () => localSecret(statePath, {})));
    expect(new Set(secrets).size).toBe(1);
    expect(`${secrets[0]}`).toMatch(/^[0-9a-f]{64}$/);
    const { mode } = await stat(join(statePath, "secret"));
    expect(mode & 0o777).toBe(0o600);
  });

  test("is NIXPORT_SECRET where that is set", async () => {
    const secret = "named by the environment";
    expect(await localSecret(statePath, { NIXPORT_SECRET: secret })).toBe(secret);
  });
});
