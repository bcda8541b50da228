import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readStorePathList } from "../../../origin/popularity/store-path-list.ts";
import { storePathOf } from "../../registry/fixture.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";

const PATHS = ["glibc-2.40-66", "htop-3.4.1", "perl5.42.0-Module-1.0_2"].map(storePathOf);
const PLAIN = Buffer.from(`${PATHS.join("\n")}\n`);
const XZ = execFileSync("xz", ["--compress", "--stdout"], { input: PLAIN });
const options = { env: { PATH: process.env.PATH ?? "" }, signal: new AbortController().signal };

async function serve(onEnd: Ending, status: number, body: Buffer, announced = body.length) {
  const server = createServer((_, response) => {
    response.writeHead(status, { "Content-Length": announced });
    response.write(body, () => {
      if (announced > body.length) response.destroy();
      else response.end();
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  onEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/store-paths.xz`;
}

describe("readStorePathList", { timeout: 20_000 }, () => {
  test.for([
    ["plain", PLAIN],
    ["xz", XZ],
  ] as const)("reads a %s file and the same from a URL", async ([, bytes]) => {
    const file = join(await temporaryDirectory(onTestFinished), "store-paths");
    await writeFile(file, bytes);
    expect(await readStorePathList(file, options)).toStrictEqual(PATHS);
    const url = await serve(onTestFinished, 200, bytes);
    expect(await readStorePathList(url, options)).toStrictEqual(PATHS);
  });

  const faults: readonly [
    title: string,
    status: number,
    body: Buffer,
    reason: RegExp,
    announced?: number,
  ][] = [
    ["404", 404, Buffer.from("404"), /store-paths\.xz: HTTP 404$/],
    ["an empty list", 200, Buffer.from("\n"), /lists no store path$/],
    ["a page", 200, Buffer.from("<html>\n"), /line 1 is no store path: "<html>"$/],
    ["a file below a store path", 200, Buffer.from(`${PATHS[0]}/bin\n`), /line 1 is no store path/],
    ["half of an xz file", 200, XZ.subarray(0, 40), /xz could not unpack http:.*store-paths\.xz: /],
    ["fewer bytes than announced", 200, PLAIN, /store-paths\.xz: /, PLAIN.length + 1],
  ];
  test.for(faults)("says what is wrong with %s", async ([, status, body, reason, announced]) => {
    const url = await serve(onTestFinished, status, body, announced);
    await expect(readStorePathList(url, options)).rejects.toThrow(reason);
  });

  test("says that xz is missing", async () => {
    const file = join(await temporaryDirectory(onTestFinished), "store-paths.xz");
    await writeFile(file, XZ);
    const without = { ...options, env: { PATH: "/nowhere" } };
    await expect(readStorePathList(file, without)).rejects.toThrow(
      /compressed, and xz is not installed/,
    );
  });
});
