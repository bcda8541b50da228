// `npm run nixport -- verify` as a process, against an origin that serves what it is to build
// again.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { skipWhere } from "../../skip-where.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/nixport.ts", import.meta.url));
const limit = { timeout: 120_000 };
const atEnd = endOfFile();

let setPath: string;
let house: House;
beforeAll(async () => {
  setPath = await plantSet(atEnd);
  house = await startHouse(atEnd, setPath, await temporaryDirectory(atEnd));
});

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

async function verify(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [COMMAND, "verify", ...args], {
    env: {
      PATH: process.env.PATH ?? "",
      HOME: process.env.HOME ?? "/root",
      NIX_CONFIG: "sandbox = false\nsubstituters =\nmax-jobs = 2\n",
      NIXERY_PKGS_PATH: setPath,
      NIXPORT_STATE: house.statePath,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, "close");
  return { code, output };
}

interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** A registry on this machine that answers what a test says; its host and port. */
async function standIn(
  onEnd: Ending,
  answering: (request: IncomingMessage) => Promise<Told>,
): Promise<string> {
  const server = createServer(async (request, response) => {
    const { status, headers, body } = await answering(request);
    response.writeHead(status, headers).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onEnd(async () => {
    server.close();
    server.closeAllConnections();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function errorBody(message: string, detail: unknown): string {
  return JSON.stringify({ errors: [{ code: "UNAVAILABLE", message, detail }] });
}

function stillBuilding(message: string): Told {
  const body = errorBody(message, [{ reason: "building", progress: null }]);
  return { status: 503, headers: { "Retry-After": "1" }, body };
}

const noSandbox = process.getuid?.() === 0 ? false : "a sandbox without a daemon needs root";

const imageOf = (name: string) => `${new URL(house.origin.url).host}/${REPOSITORY_PREFIX}${name}`;

describe("nixport verify", limit, () => {
  test.for(["zstd", "gzip", "docker"])(
    "finds an image equal that is built again, in the form %s",
    async (form) => {
      const { code, output } = await verify([imageOf("hello/sh"), "--form", form]);
      expect(code, output).toBe(0);
      expect(output).toMatch(/^registry: (sha256:[0-9a-f]{64}) [^\n]*\nhere: {5}\1\nequal\n$/);
    },
  );

  test("cuts layers by the registry's own data, which it has from the registry alone", async () => {
    const data = join(await temporaryDirectory(onTestFinished), "popularity.json");
    await writeFile(data, '{ "half": 5000 }');
    const other = await startHouse(
      onTestFinished,
      setPath,
      await temporaryDirectory(onTestFinished),
      {
        NIX_POPULARITY_URL: pathToFileURL(data).href,
      },
    );
    await rm(data);
    const { host } = new URL(other.origin.url);
    const away = { NIXPORT_STATE: await temporaryDirectory(onTestFinished) };
    const { code, output } = await verify([`${host}/${REPOSITORY_PREFIX}heavy`], away);
    expect(code, output).toBe(0);
    const [own, others] = [await house.pull("heavy"), await other.pull("heavy")];
    expect(own.digest, "the data made no difference").not.toBe(others.digest);
  });

  test("builds in a sandbox, if Nix is told to", skipWhere(noSandbox), async () => {
    const { code, output } = await verify([imageOf("hello/sh")], {
      NIX_CONFIG: "sandbox = true\nsandbox-fallback = false\nsubstituters =\nmax-jobs = 2\n",
    });
    expect(code, output).toBe(0);
  });

  test("says in what an image differs that a registry has made otherwise", async () => {
    const registry = await standIn(onTestFinished, async (request) => {
      const answer = await fetch(`${house.origin.url}${request.url}`);
      const headers = Object.fromEntries(answer.headers);
      // It says that it has no popularity data, and cuts otherwise.
      const packing = headers["nixport-packing"]?.replace(/[0-9a-f]{64}$/, "none");
      return {
        status: answer.status,
        headers: { ...headers, ...(packing && { "nixport-packing": packing }) },
        body: await answer.bytes(),
      };
    });
    const { code, output } = await verify([
      `${registry}/${REPOSITORY_PREFIX}heavy`,
      "--form",
      "zstd",
    ]);
    expect(code, output).toBe(1);
    expect(output).toMatch(/nixport: different\nlayer /);
  });

  test("waits for a registry that builds or is busy, and says what it says", async () => {
    const answers = [
      stillBuilding("building 1 of 3: gcc-13"),
      stillBuilding("building 1 of 3: gcc-13"),
      {
        status: 429,
        headers: { "Retry-After": "1" },
        body: errorBody("too many builds", [{ reason: "busy" }]),
      },
    ];
    const registry = await standIn(onTestFinished, async (request) => {
      const first = answers.shift();
      if (first !== undefined) return first;
      const answer = await fetch(`${house.origin.url}${request.url}`);
      return {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: await answer.bytes(),
      };
    });
    const { code, output } = await verify([`${registry}/${REPOSITORY_PREFIX}hello`]);
    expect(code, output).toBe(0);
    const waiting = output.split("\n").filter((line) => line.startsWith("waiting: "));
    expect(waiting, output).toHaveLength(2);
    expect(waiting[0] ?? "").toMatch(/503: building 1 of 3: gcc-13$/);
    expect(waiting[1] ?? "").toMatch(/429: too many builds$/);
  });

  test("waits no longer than it is told to, and not for what will not pass", async () => {
    const registry = await standIn(onTestFinished, async ({ url }) =>
      url?.includes("/slow/")
        ? stillBuilding("building 1 of 3: gcc-13")
        : {
            status: 503,
            headers: { "Retry-After": "1" },
            body: errorBody("the source does not answer", []),
          },
    );
    const slow = await verify([`${registry}/slow`, "--wait", "0"]);
    expect(slow.code).toBe(1);
    expect(slow.output).toMatch(
      /503: building 1 of 3: gcc-13; that is longer than it was waited for/,
    );
    const failing = await verify([`${registry}/failing`]);
    expect(failing.code).toBe(1);
    expect(failing.output).toMatch(/answers 503: the source does not answer\n$/);
  });

  const untold: readonly [string, Readonly<Record<string, string>>, RegExp][] = [
    ["its revision", { "nixport-pin": "" }, /does not say of which revision it is: no Nixport-Pin/],
    [
      "its packing",
      { "nixport-packing": "" },
      /does not say how it was packed: no Nixport-Packing/,
    ],
    [
      "popularity data that it does not give out",
      { "nixport-packing": `3-zstd.${"0".repeat(64)}` },
      /of its popularity data .* answers 404: no blob/,
    ],
  ];
  test.for(untold)(
    "is told by a registry nothing of, or wrongly, %s",
    async ([, changed, pattern]) => {
      const registry = await standIn(onTestFinished, async (request) => {
        const answer = await fetch(`${house.origin.url}${request.url}`);
        const headers = { ...Object.fromEntries(answer.headers), ...changed };
        return { status: answer.status, headers, body: await answer.bytes() };
      });
      const { code, output } = await verify([`${registry}/${REPOSITORY_PREFIX}hello`]);
      expect(code).toBe(1);
      expect(output).toMatch(pattern);
    },
  );

  test("builds nothing of a revision that is not the configured source's", async () => {
    const other = await temporaryDirectory(onTestFinished);
    await writeFile(join(other, "default.nix"), "{ }");
    const { code, output } = await verify([imageOf("hello/sh")], { NIXERY_PKGS_PATH: other });
    expect(code).toBe(1);
    expect(output).toMatch(/the registry answered from path-[0-9a-f]+, and .* is at path-/);
  });

  test("says why Nix did not build the image again", skipWhere(noSandbox), async () => {
    const { code, output } = await verify([imageOf("sh")], {
      NIX_CONFIG: "sandbox = true\nsandbox-fallback = false\nsandbox-paths = /nowhere\n",
    });
    expect(output, output).toMatch(/not built: .*nowhere/);
    expect(code).toBe(1);
  });

  const failures: readonly [string, () => readonly string[], number, RegExp][] = [
    ["no such package", () => [imageOf("nothing")], 1, /answers 404: no package nothing/],
    ["no registry", () => ["127.0.0.1:1/hello"], 1, /cannot be reached: /],
    ["no name of an image", () => ["hello/shell"], 2, /hello\/shell: .*in front/],
    ["no image", () => [], 2, /one image is needed\nusage: /],
    ["no such option", () => ["--what"], 2, /Unknown option '--what'/],
    ["no such form", () => ["hello", "--form", "tar"], 2, /--form is tar: zstd, gzip, docker/],
    ["no time", () => ["hello", "--wait", "ever"], 2, /--wait is ever: seconds, up to 86400/],
    ["no form either", () => ["hello", "--form", "constructor"], 2, /--form is constructor: /],
  ];
  test.for(failures)("ends with $2 and says why: $0", async ([, args, expected, pattern]) => {
    const { code, output } = await verify(args());
    expect(code).toBe(expected);
    expect(output).toMatch(pattern);
  });
});
