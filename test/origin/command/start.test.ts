// `npm start`: it says that it is ready when its own parts are, and ends with all it started.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../../free-port.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { plantSet } from "../house.ts";
import { descendantsOf, untilEnded } from "../nix/fixture.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const COMMAND = join(ROOT, "origin/command/start.ts");

type Started = ChildProcessByStdio<null, Readable, Readable>;

async function start(
  onEnd: Ending,
  port: number,
  edgePort: number,
  env: Readonly<Record<string, string>> = {},
  /** What runs the command that follows it. */
  before: readonly string[] = [],
  command: readonly string[] = [process.execPath, COMMAND],
): Promise<Started> {
  const [program = "", ...args] = [...before, ...command];
  const child = spawn(program, args, {
    cwd: ROOT,
    env: {
      ...process.env,
      ...{ PORT: String(port), EDGE_PORT: String(edgePort), NIXPORT_LOG_LEVEL: "silent" },
      NIXPORT_STATE: await temporaryDirectory(onEnd),
      NIXERY_PKGS_PATH: env.NIXERY_PKGS_PATH ?? (await plantSet(onEnd)),
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // Which it passes on.
  onEnd(() => void child.kill("SIGTERM"));
  return child;
}

/** A server that answers 200 whatever it is asked, as an earlier start of ours would. */
async function startOther(onEnd: Ending): Promise<number> {
  const server = createServer((_, response) => response.end("{}")).listen(0, "127.0.0.1");
  await once(server, "listening");
  onEnd(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe("npm start", { timeout: 120_000 }, () => {
  test("is ready when both parts are, and ends both", async () => {
    const [port, edgePort] = [await freePort(), await freePort()];
    const child = await start(onTestFinished, port, edgePort);
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (output.includes("nixport ready")) break;
    }
    expect(output).toMatch(new RegExp(`^nixport ready: edge http://127.0.0.1:${edgePort}`, "m"));
    for (const each of [port, edgePort]) {
      expect((await fetch(`http://127.0.0.1:${each}/v2/`)).status).toBe(200);
    }
    child.kill("SIGINT");
    expect(await once(child, "exit")).toStrictEqual([0, null]);
    for (const each of [port, edgePort]) {
      await expect(fetch(`http://127.0.0.1:${each}/v2/`)).rejects.toThrow();
    }
  });

  // Each of them passes signals on, and none that is killed does.
  test.each([
    ["npm is", 0],
    ["it is", 2],
  ])("leaves nothing behind when %s killed", async (_, place) => {
    const [port, edgePort] = [await freePort(), await freePort()];
    const child = await start(onTestFinished, port, edgePort, {}, [], ["npm", "start"]);
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (output.includes("nixport ready")) break;
    }
    const started = [child.pid ?? 0, ...(await descendantsOf(child.pid ?? 0))];
    expect(
      started.length,
      "npm, its script, the start, two parts and what those run",
    ).toBeGreaterThan(6);
    process.kill(started[place] ?? 0, "SIGKILL");
    for (const pid of started) await untilEnded(pid);
  });

  test("says with that what keeps it from making images", async () => {
    const setPath = await temporaryDirectory(onTestFinished);
    await writeFile(join(setPath, "default.nix"), "{\n  cacert =\n");
    const [port, edgePort] = [await freePort(), await freePort()];
    const child = await start(onTestFinished, port, edgePort, { NIXERY_PKGS_PATH: setPath });
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (/nixport ready.*\n/.test(output)) break;
    }
    const urls = `edge http://127\\.0\\.0\\.1:${edgePort}, origin http://127\\.0\\.0\\.1:${port}`;
    const line = `^nixport ready, but the package set does not load: syntax error, .*; ${urls}$`;
    expect(output).toMatch(new RegExp(line, "m"));
    expect((await fetch(`http://127.0.0.1:${edgePort}/v2/`)).status).toBe(200);
  });

  test("says what is wrong with the machine before it is ready", async () => {
    const [port, edgePort] = [await freePort(), await freePort()];
    const fewFiles = ["sh", "-c", 'ulimit -n 512; exec "$0" "$@"'];
    const child = await start(onTestFinished, port, edgePort, {}, fewFiles);
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (output.includes("nixport ready")) break;
    }
    expect(output).toMatch(/^failed: limits open files: 512 → raise the limit.*\nnixport ready/m);
    child.kill("SIGINT");
    expect(await once(child, "exit")).toStrictEqual([0, null]);
  });

  test("starts the origin alone where the edge's runtime does not start, and says why", async () => {
    const [port, edgePort] = [await freePort(), await freePort()];
    const child = await start(onTestFinished, port, edgePort, {
      MINIFLARE_WORKERD_PATH: "/bin/false",
    });
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      if (output.includes("nixport ready")) break;
    }
    expect(output).toMatch(
      new RegExp(
        `^nixport ready: origin http://127.0.0.1:${port}; try: docker pull 127.0.0.1:${port}/\\S+; no edge: workerd does not start on this machine`,
        "m",
      ),
    );
    expect((await fetch(`http://127.0.0.1:${port}/v2/`)).status).toBe(200);
    child.kill("SIGINT");
    expect(await once(child, "exit")).toStrictEqual([0, null]);
  });

  test("is not ready where other programs have the ports, and says so", async () => {
    const child = await start(
      onTestFinished,
      await startOther(onTestFinished),
      await startOther(onTestFinished),
    );
    const [output, errors, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit"),
    ]);
    expect(output).not.toMatch(/nixport ready/);
    expect(errors).toMatch(/another program has the port/);
    expect(errors).toMatch(/nixport: a part did not start; its message is above/);
    expect(code).toBe(1);
  });
});
