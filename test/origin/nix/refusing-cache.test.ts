// A cache that refuses what it is asked, on a real server that wants a password.

import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findRefusingCache, loginOf } from "../../../origin/nix/refusing-cache.ts";
import type { StorePath } from "../../../registry/naming/store-path.ts";
import { temporaryDirectory } from "../fixture.ts";

const NETRC = `# of ours
machine other.example login a password b
machine cache.example
  login ann
  password s3cret
default login anybody password at-all
`;

const rows: readonly (readonly [url: string, netrc: string, login: string | undefined])[] = [
  ["https://cache.example/x", NETRC, "ann:s3cret"],
  ["https://elsewhere.example", NETRC, "anybody:at-all"],
  ["https://bob:p%40ss@cache.example", NETRC, "bob:p@ss"],
  ["https://bob:50%off@cache.example", NETRC, "bob:50%off"],
  ["https://cache.example", "machine other.example login a password b", undefined],
  ["https://cache.example", "machine cache.example\nmachine x login a password b", undefined],
  ["https://cache.example", "", undefined],
];
test.each(rows)("knows who asks %s", (url, netrc, login) => {
  const found = loginOf(new URL(url), netrc);
  expect(found && `${found.user}:${found.password}`).toBe(login);
});

const PATH = `/nix/store/${"a".repeat(32)}-x` as StorePath;
const asked: readonly (readonly [
  title: string,
  netrc: string | null,
  statuses: number[],
  isRefused: boolean,
])[] = [
  ["one that takes the password", "ann s3cret", [404], false],
  ["one that wants another", "ann old", [401], true],
  ["one that wants one, of a host that has none", null, [401], true],
  ["one that forbids everything", null, [403, 403], true],
  ["one that says so of what is not there", null, [403, 200], false],
  ["one that does not answer so", null, [500], false],
];
test.each(asked)(
  "tells of a cache whether it refuses: %s",
  async (_title, netrc, statuses, isRefused) => {
    const folder = await temporaryDirectory(onTestFinished);
    const netrcFile = join(folder, "netrc");
    const [login, password] = netrc?.split(" ") ?? [];
    if (netrc !== null)
      await writeFile(netrcFile, `machine 127.0.0.1 login ${login} password ${password}`);
    const told = [...statuses];
    const seen: (string | undefined)[] = [];
    const server = createServer(({ headers }, response) => {
      seen.push(headers.authorization);
      response.writeHead(told.shift() ?? 500).end();
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const cache = `http://127.0.0.1:${(server.address() as AddressInfo).port}?priority=1`;
    const signal = AbortSignal.any([]);
    const found = await findRefusingCache({ caches: [cache], netrcFile, path: PATH, signal });
    expect(found?.kind).toBe(isRefused ? "cache-failed" : undefined);
    expect(told).toStrictEqual([]);
    const basic = netrc && `Basic ${Buffer.from(netrc.replace(" ", ":")).toString("base64")}`;
    expect(seen[0]).toBe(basic ?? undefined);
  },
);
