// An issuer of tokens for tests, as a CI system has one: a server on loopback that says where its keys are,
// and signs what a test wants it to.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

export interface TestIssuer {
  readonly url: string;
  /** What it was asked for, in order. */
  readonly asked: string[];
  /** Instead of its keys. */
  answering: (() => { readonly status: number; readonly body: string }) | undefined;
  /** With these claims laid over a job's. */
  sign(claims?: Readonly<Record<string, unknown>>, options?: Signing): Promise<string>;
  /** From now on it signs with a key that nobody has seen. */
  rotate(): Promise<void>;
  stop(): Promise<void>;
}

export interface Signing {
  readonly nowMs?: number;
  readonly lifeSeconds?: number;
  readonly kid?: string;
}

export const AUDIENCE = "https://registry.example.org";
export const JOB_CLAIMS = { repository: "acme/app", ref: "refs/heads/main" };

export async function startIssuer(nowMs: number): Promise<TestIssuer> {
  const asked: string[] = [];
  const keys: (Awaited<ReturnType<typeof generateKeyPair>> & { readonly kid: string })[] = [];
  const make = async () => {
    keys.push({ ...(await generateKeyPair("RS256")), kid: `key-${keys.length}` });
  };
  await make();
  const server = createServer(async (request, response) => {
    asked.push(request.url ?? "");
    const isDiscovery = request.url === "/.well-known/openid-configuration";
    const shown = { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` };
    const jwks = await Promise.all(
      keys.map(async ({ publicKey, kid }) => ({
        ...(await exportJWK(publicKey)),
        kid,
        alg: "RS256",
      })),
    );
    const told = issuer.answering?.() ?? {
      status: 200,
      body: JSON.stringify(isDiscovery ? shown : { keys: jwks }),
    };
    response.writeHead(told.status, { "Content-Type": "application/json" }).end(told.body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer: TestIssuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answering: undefined,
    async sign(claims = {}, { nowMs: atMs = nowMs, lifeSeconds = 300, kid } = {}) {
      const key = keys.at(-1);
      if (key === undefined) throw new Error("no key");
      const issuedAt = Math.floor(atMs / 1000);
      const all = { iss: issuer.url, aud: AUDIENCE, sub: "a job", ...JOB_CLAIMS, ...claims };
      return new SignJWT(all)
        .setProtectedHeader({ alg: "RS256", kid: kid ?? key.kid })
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + lifeSeconds)
        .sign(key.privateKey);
    },
    rotate: make,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return issuer;
}
