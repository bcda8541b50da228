// A registry seen through a proxy that asks for one form of every image: real clients cannot send
// the header that names it. It also keeps what a client says of itself.

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { pipeline } from "node:stream";
import { VARIANT_HEADER } from "../../registry/http/negotiation.ts";
import type { Variant } from "../../registry/image/variant.ts";

export interface ProxiedAnswer {
  readonly path: string;
  /** What the client said of itself. */
  readonly requestHeaders: IncomingHttpHeaders;
  /** Of the content, as the registry names it in its answer. */
  readonly digest: string | undefined;
  readonly mediaType: string | undefined;
}

export interface RegistryProxy {
  readonly url: string;
  readonly answers: readonly ProxiedAnswer[];
  close(): Promise<void>;
}

/** Without a variant nothing is added, and the registry decides by the client's own headers. */
export async function startProxy(registryUrl: string, variant?: Variant): Promise<RegistryProxy> {
  const answers: ProxiedAnswer[] = [];
  const server = createServer((incoming, outgoing) => {
    const { method = "", url: path = "", headers } = incoming;
    const forwarded = request(new URL(path, registryUrl), {
      method,
      headers: { ...headers, ...(variant !== undefined && { [VARIANT_HEADER]: variant }) },
    });
    forwarded.on("response", (response) => {
      const digest = response.headers["docker-content-digest"]?.toString();
      const mediaType = response.headers["content-type"];
      answers.push({ path, requestHeaders: headers, digest, mediaType });
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      // A client that leaves early, as podman does with layers it has, is no error here.
      pipeline(response, outgoing, () => undefined);
    });
    forwarded.on("error", () => outgoing.destroy());
    pipeline(incoming, forwarded, () => undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    answers,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
