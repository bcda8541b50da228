// A signed binary cache of small made-up outputs, on loopback, that misbehaves when it is told to.

import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Ending } from "../fixture.ts";

export type Fault =
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "cut"; readonly afterBytes: number }
  | { readonly kind: "corrupt" }
  | { readonly kind: "missing" }
  | { readonly kind: "bad-signature" }
  | { readonly kind: "hang" }
  | { readonly kind: "refuse" };

export interface FaultyCache {
  readonly url: string;
  /** As `trusted-public-keys` takes it. */
  readonly publicKey: string;
  readonly requests: readonly string[];
  add(storePath: string, content: string, references?: readonly string[]): void;
  fault(path: RegExp, fault: Fault): void;
}

const KEY_NAME = "faulty-cache-1";

interface Entry {
  readonly narinfo: string;
  readonly signature: string;
  readonly nar: Buffer;
}

export async function openFaultyCache(t: Ending): Promise<FaultyCache> {
  const keys = generateKeyPairSync("ed25519");
  const stranger = generateKeyPairSync("ed25519");
  const entries = new Map<string, Entry>();
  const faults: { readonly path: RegExp; readonly fault: Fault }[] = [];
  const requests: string[] = [];

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? "/";
    requests.push(path);
    const fault = faults.find((each) => each.path.test(path))?.fault;
    const body = bodyOf(path, fault);
    switch (fault?.kind) {
      case "refuse":
        return void request.socket.destroy();
      case "hang":
        return;
      case "status":
        return void response.writeHead(fault.status).end("a fault");
      case "cut":
        response.writeHead(200, { "Content-Length": body?.length ?? 100 });
        response.write(body?.subarray(0, fault.afterBytes));
        return void setImmediate(() => response.destroy());
      default:
        if (body === undefined || fault?.kind === "missing") response.writeHead(404).end();
        else response.writeHead(200, { "Content-Length": body.length }).end(body);
    }
  }

  function bodyOf(path: string, fault: Fault | undefined): Buffer | undefined {
    if (path === "/nix-cache-info") return Buffer.from("StoreDir: /nix/store\nPriority: 10\n");
    const [, hash = "", kind] = /^\/(?:nar\/)?([0-9a-z]{32})\.(narinfo|nar)$/.exec(path) ?? [];
    const entry = entries.get(hash);
    if (entry === undefined) return undefined;
    if (kind === "narinfo") {
      const bad = fault?.kind === "bad-signature";
      const signature = bad
        ? signed(entry.signature, stranger.privateKey)
        : signed(entry.signature, keys.privateKey);
      return Buffer.from(`${entry.narinfo}Sig: ${bad ? "stranger-1" : KEY_NAME}:${signature}\n`);
    }
    const nar = Buffer.from(entry.nar);
    if (fault?.kind === "corrupt") nar.writeUInt8(nar.readUInt8(100) ^ 1, 100);
    return nar;
  }

  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const raw = keys.publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return {
    url: `http://127.0.0.1:${port}`,
    publicKey: `${KEY_NAME}:${raw.toString("base64")}`,
    requests,
    add(storePath, content, references = []) {
      const nar = narOf(content);
      const hash = storePath.slice("/nix/store/".length, "/nix/store/".length + 32);
      const narHash = `sha256:${nix32(createHash("sha256").update(nar).digest())}`;
      const names = references.map((path) => path.slice("/nix/store/".length));
      entries.set(hash, {
        nar,
        signature: `1;${storePath};${narHash};${nar.length};${references.join(",")}`,
        narinfo: [
          `StorePath: ${storePath}`,
          `URL: nar/${hash}.nar`,
          "Compression: none",
          `FileHash: ${narHash}`,
          `FileSize: ${nar.length}`,
          `NarHash: ${narHash}`,
          `NarSize: ${nar.length}`,
          `References: ${names.join(" ")}\n`,
        ].join("\n"),
      });
    },
    fault: (path, fault) => void faults.push({ path, fault }),
  };
}

function signed(text: string, key: KeyObject): string {
  return sign(null, Buffer.from(text), key).toString("base64");
}

function narOf(content: string): Buffer {
  const texts = ["nix-archive-1", "(", "type", "regular", "contents", content, ")"];
  return Buffer.concat(texts.map(narString));
}

function narString(text: string): Buffer {
  const bytes = Buffer.from(text);
  const padded = Buffer.alloc(8 + Math.ceil(bytes.length / 8) * 8);
  padded.writeBigUInt64LE(BigInt(bytes.length));
  bytes.copy(padded, 8);
  return padded;
}

/** Nix's own base 32: from the last bits to the first, without e, o, t and u. */
function nix32(hash: Buffer): string {
  const digits = "0123456789abcdfghijklmnpqrsvwxyz";
  let text = "";
  for (let place = Math.ceil((hash.length * 8) / 5) - 1; place >= 0; place--) {
    const bit = place * 5;
    const index = Math.floor(bit / 8);
    const shift = bit % 8;
    const value = ((hash[index] ?? 0) >> shift) | ((hash[index + 1] ?? 0) << (8 - shift));
    text += digits[value & 31];
  }
  return text;
}
