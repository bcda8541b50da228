// A git repository behind a socket, which can stop answering without hanging up.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import type { Ending } from "../fixture.ts";
import { GIT_ENV } from "./git-repository.ts";

export interface GitServer {
  readonly url: string;
  /** How many have connected since it hangs. */
  readonly unanswered: number;
  /** From now on every connection is taken and never answered. */
  hang(): void;
  untilUnanswered(count: number): Promise<void>;
}

export async function startGitServer(onEnd: Ending, repositoryPath: string): Promise<GitServer> {
  const unanswered: Socket[] = [];
  let hangs = false;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    if (hangs) unanswered.push(socket);
    else answer(socket, repositoryPath);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onEnd(async () => {
    for (const socket of unanswered) socket.destroy();
    server.close();
    await once(server, "close");
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `git://127.0.0.1:${address.port}${repositoryPath}`,
    get unanswered() {
      return unanswered.length;
    },
    hang() {
      hangs = true;
    },
    async untilUnanswered(count) {
      while (unanswered.length < count) await once(server, "connection");
    },
  };
}

function answer(socket: Socket, repositoryPath: string): void {
  const args = [
    "daemon",
    "--inetd",
    "--export-all",
    "--base-path-relaxed",
    dirname(repositoryPath),
  ];
  const daemon = spawn("git", args, { env: GIT_ENV, stdio: ["pipe", "pipe", "ignore"] });
  daemon.stdin.on("error", () => undefined);
  socket.pipe(daemon.stdin);
  daemon.stdout.pipe(socket);
}
