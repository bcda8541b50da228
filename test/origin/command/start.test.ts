// `npm start`: it says that it is ready when its own parts are, and ends with all it started.

import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../fixture.ts";
import { plantSet } from "../house.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/start.ts", import.meta.url));

type Started = ChildProcessByStdio<null, Readable, Readable>;

async function start(
  t: TestContext,
  port: number,
  edgePort: number,
  env: Readonly<Record<string, string>> = {},
  /** What runs the command that follows it. */
  before: readonly string[] = [],
): Promise<Started> {
  const [program = "", ...args] = [...before, process.execPath, COMMAND];
  const child = spawn(program, args, {
    env: {
      ...process.env,
      ...{ PORT: String(port), EDGE_PORT: String(edgePort), NIXPORT_LOG_LEVEL: "silent" },
      NIXPORT_STATE: await temporaryDirectory(t),
      NIXERY_PKGS_PATH: env.NIXERY_PKGS_PATH ?? (await plantSet(t)),
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // Which it passes on.
  t.after(() => child.kill("SIGTERM"));
  return child;
}

/** A server that answers 200 whatever it is asked, as an earlier start of ours would. */
async function startOther(t: TestContext): Promise<number> {
  const server = createServer((_, response) => response.end("{}")).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Nobody's for now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  return port;
}

describe("npm start", { timeout: 120_000 }, () => {
  test("is ready when both parts are, and ends both", async (t) => {
    const [port, edgePort] = [await freePort(), await freePort()];
    const child = await start(t, port, edgePort);
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (output.includes("nixport ready")) break;
    }
    assert.match(output, new RegExp(`^nixport ready: edge http://127.0.0.1:${edgePort}`, "m"));
    for (const each of [port, edgePort]) {
      assert.equal((await fetch(`http://127.0.0.1:${each}/v2/`)).status, 200);
    }
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [0, null]);
    for (const each of [port, edgePort]) {
      await assert.rejects(fetch(`http://127.0.0.1:${each}/v2/`));
    }
  });

  test("says with that what keeps it from making images", async (t) => {
    const setPath = await temporaryDirectory(t);
    await writeFile(join(setPath, "default.nix"), "{\n  cacert =\n");
    const [port, edgePort] = [await freePort(), await freePort()];
    const child = await start(t, port, edgePort, { NIXERY_PKGS_PATH: setPath });
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (/nixport ready.*\n/.test(output)) break;
    }
    const urls = `edge http://127\\.0\\.0\\.1:${edgePort}, origin http://127\\.0\\.0\\.1:${port}`;
    const line = `^nixport ready, but the package set does not load: syntax error, .*; ${urls}$`;
    assert.match(output, new RegExp(line, "m"));
    assert.equal((await fetch(`http://127.0.0.1:${edgePort}/v2/`)).status, 200);
  });

  test("says what is wrong with the machine before it is ready", async (t) => {
    const [port, edgePort] = [await freePort(), await freePort()];
    const fewFiles = ["sh", "-c", 'ulimit -n 512; exec "$0" "$@"'];
    const child = await start(t, port, edgePort, {}, fewFiles);
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (output.includes("nixport ready")) break;
    }
    assert.match(output, /^failed: limits open files: 512 → raise the limit.*\nnixport ready/m);
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });

  test("starts the origin alone where the edge's runtime does not start, and says why", async (t) => {
    const [port, edgePort] = [await freePort(), await freePort()];
    const child = await start(t, port, edgePort, { MINIFLARE_WORKERD_PATH: "/bin/false" });
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (output.includes("nixport ready")) break;
    }
    assert.match(
      output,
      new RegExp(
        `^nixport ready: origin http://127.0.0.1:${port}; try: docker pull 127.0.0.1:${port}/\\S+; no edge: workerd does not start on this machine`,
        "m",
      ),
    );
    assert.equal((await fetch(`http://127.0.0.1:${port}/v2/`)).status, 200);
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });

  test("is not ready where other programs have the ports, and says so", async (t) => {
    const child = await start(t, await startOther(t), await startOther(t));
    const [output, errors, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit"),
    ]);
    assert.doesNotMatch(output, /nixport ready/);
    assert.match(errors, /another program has the port/);
    assert.match(errors, /nixport: a part did not start; its message is above/);
    assert.equal(code, 1);
  });
});
