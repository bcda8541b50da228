// What the doctor says of binary caches, which the machine's own Nix asks: small ones on loopback,
// one with what the caches of nixpkgs have.

import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { PINNED_PATH } from "../../../origin/doctor/needed-nix.ts";
import type { Ending } from "../fixture.ts";
import { doctor, plantSmallSet } from "./fixture.ts";

const INFO = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";
/** Of nothing: the NAR is never asked for. */
const NAR_HASH = `sha256:${"0".repeat(52)}`;

interface Key {
  readonly privateKey: KeyObject;
  /** As in trusted-public-keys. */
  readonly text: string;
}

function makeKey(name: string): Key {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  return { privateKey, text: `${name}:${Buffer.from(x, "base64url").toString("base64")}` };
}

function narinfo({ privateKey, text }: Key): string {
  const fingerprint = `1;${PINNED_PATH};${NAR_HASH};1000;`;
  const signature = sign(null, Buffer.from(fingerprint), privateKey).toString("base64");
  return [
    ...[`StorePath: ${PINNED_PATH}`, "URL: nar/x.nar", "Compression: none"],
    ...[`NarHash: ${NAR_HASH}`, "NarSize: 1000", "References: "],
    ...[`Sig: ${text.split(":")[0]}:${signature}`, ""],
  ].join("\n");
}

async function serve(onEnd: Ending, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  onEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A cache with PINNED_PATH, signed; without a key it has nothing. */
function cacheOf(key: Key | null): RequestListener {
  return ({ url }, response) => {
    if (url === "/nix-cache-info") response.end(INFO);
    else if (url?.endsWith(".narinfo") && key !== null) response.end(narinfo(key));
    else response.writeHead(404).end();
  };
}

async function lookAt(onEnd: Ending, urls: readonly string[], keys: readonly Key[] = []) {
  return await doctor(onEnd, {
    NIXERY_PKGS_PATH: await plantSmallSet(onEnd),
    NIX_CONFIG: [
      ...["sandbox = false", `substituters = ${urls.join(" ")}`, "netrc-file = /nowhere/netrc"],
      `trusted-public-keys = ${keys.map(({ text }) => text).join(" ")}`,
    ].join("\n"),
  });
}

describe("the doctor says of a cache", { timeout: 60_000 }, () => {
  test("that its key is trusted, or not, or that it was not seen", async () => {
    const [known, other] = [makeKey("cache-1"), makeKey("cache-1")];
    const [right, wrong, empty] = [
      await serve(onTestFinished, cacheOf(known)),
      await serve(onTestFinished, cacheOf(other)),
      await serve(onTestFinished, cacheOf(null)),
    ];
    const { find } = await lookAt(onTestFinished, [right, wrong, empty], [known]);
    const told = (url: string) => {
      const { state, saw } = find("caches", "substituter", url);
      return [state, saw];
    };
    const answers = "answers, priority 30";
    expect(told(right)).toStrictEqual(["ok", `${answers}, signs with a key that is trusted`]);
    // It has the name of one that is.
    expect(told(wrong)).toStrictEqual([
      "failed",
      `${answers}, and signs with no key that is trusted`,
    ]);
    const unseen = `${answers}; its key was not seen, for it lacks the path that is looked at`;
    expect(told(empty)).toStrictEqual(["ok", unseen]);
    expect(find("caches", "netrc").saw).toStrictEqual("no /nowhere/netrc");
  });

  const failing: readonly [title: string, answer: RequestListener | null, RegExp, RegExp][] = [
    ["that nobody listens there", null, /^does not answer: .*(?:connect|refused)/i, /reaches it/],
    [
      "that it wants credentials",
      (_, to) => void to.writeHead(401).end(),
      /^answers 401, which is a refusal$/,
      /netrc-file/,
    ],
    ["that it is broken", (_, to) => void to.writeHead(500).end(), /500/, /reaches it/],
  ];
  test.for(failing)("%s", async ([, answer, saw, toDo]) => {
    const url = answer === null ? "http://127.0.0.1:1" : await serve(onTestFinished, answer);
    const found = (await lookAt(onTestFinished, [url])).find("caches", "substituter", url);
    expect(found.state).toBe("failed");
    expect(found.saw).toMatch(saw);
    expect(found.toDo ?? "").toMatch(toDo);
  });

  test("its URL without credentials", async () => {
    const there = (await serve(onTestFinished, cacheOf(null))).replace("://", "://user:geheim@");
    // Nix names it in its error.
    const urls = [there, "http://user:geheim@127.0.0.1:1"];
    const { stdout, findings } = await lookAt(onTestFinished, urls);
    const states = findings
      .filter(({ check }) => check === "substituter")
      .map(({ state }) => state);
    expect(states).toStrictEqual(["ok", "failed"]);
    expect(stdout, stdout).not.toContain("geheim");
  });
});
