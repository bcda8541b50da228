// What stands between a store and the emulator: it sees each request, and can fail one in its place.

import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { Ending } from "../fixture.ts";
import type { Emulator } from "./emulator.ts";

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** An answer of its own, or to break the connection off: before an answer, or amid its body. */
export type Fault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | "break"
  | "cut";

export interface Between extends Emulator {
  readonly seen: readonly SeenRequest[];
  /** Fails each request from now on for which there is a fault; undefined passes it on. */
  failing(fault: (request: SeenRequest) => Fault | undefined): void;
  forget(): void;
}

export async function startBetween(onEnd: Ending, emulator: Emulator): Promise<Between> {
  const seen: SeenRequest[] = [];
  let faultOf: (request: SeenRequest) => Fault | undefined = () => undefined;
  const server = createServer((incoming, outgoing) => {
    void answer(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = incoming;
    const { pathname: path, searchParams: query } = new URL(url, "http://x");
    const body = await buffer(incoming);
    const one = { method, path, query, headers, body };
    seen.push(one);
    const fault = faultOf(one);
    if (fault === "break") {
      outgoing.destroy();
      return;
    }
    if (typeof fault === "object") {
      outgoing.writeHead(fault.status, fault.headers).end();
      return;
    }
    const passed = request(new URL(url, emulator.url), { method, headers });
    passed.end(body);
    const [response] = (await once(passed, "response")) as [IncomingMessage];
    const answered = { ...response.headers };
    // Where an upload goes on.
    if (answered.location) answered.location = answered.location.replace(emulator.url, ownUrl());
    outgoing.writeHead(response.statusCode ?? 500, answered);
    const bytes = await buffer(response);
    if (fault === "cut") {
      outgoing.write(bytes.subarray(0, bytes.length / 2), () => outgoing.destroy());
    } else outgoing.end(bytes);
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const ownUrl = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    ...{ url: ownUrl(), makeBucket: emulator.makeBucket, seen },
    failing(fault) {
      faultOf = fault;
    },
    forget() {
      seen.length = 0;
    },
  };
}
