// Ports for commands that tests start, which are told theirs before they listen.

import { once } from "node:events";
import { createServer } from "node:net";

/** Below those that Linux gives to outgoing connections, one of which could have it in between. */
const FIRST = 20_000;
const LAST = 32_000;
/** Files of tests run side by side, each in a process of its own. */
let next = FIRST + ((process.pid * 101) % (LAST - FIRST));

/** Nobody's for now, and not given again by this process. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = next;
    next = port + 1 < LAST ? port + 1 : FIRST;
    if (await canListen(port)) return port;
  }
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  await once(server.close(), "close");
  return true;
}
