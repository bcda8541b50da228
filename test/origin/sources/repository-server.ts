// A server of one repository in this process: its revisions as archives, and by git, either with the
// smart protocol or as plain files; and what can go wrong with any of them, step by step where a test
// wants it so.

import { execFileSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { answerGit } from "../../stand-ins/git-http.ts";
import type { Ending } from "../fixture.ts";
import { GIT_ENV, type Repository } from "./git-repository.ts";

export type Behaviour =
  | { readonly kind: "works" }
  | { readonly kind: "status"; readonly status: number }
  /** Sends half of an archive, and no more until it behaves otherwise. */
  | { readonly kind: "stalls" }
  /** Hangs up in the middle of an archive, so many times. */
  | { readonly kind: "cuts"; readonly times: number }
  /** Sends what is no archive. */
  | { readonly kind: "garbles" }
  /** Takes no connection. */
  | { readonly kind: "down" };

export interface RepositoryServer {
  /** Without a slash at its end. */
  readonly url: string;
  /** Paths that were asked for, such as `/set/archive/<commit>.tar.gz`. */
  readonly requests: string[];
  /** Bodies of what git asked over the smart protocol. */
  readonly gitQuestions: string[];
  behave(behaviour: Behaviour): Promise<void>;
  /** Whether git is answered by a program or by files, as a plain web server does. */
  serveFiles(): void;
  /** Resolves with the next request, or at once where one has come that is not answered. */
  untilStalled(): Promise<void>;
}

const SET = "/set";

export async function startRepositoryServer(
  onEnd: Ending,
  repository: Repository,
): Promise<RepositoryServer> {
  const requests: string[] = [];
  const gitQuestions: string[] = [];
  const stalled = new Set<() => void>();
  const events = new EventEmitter();
  let behaviour: Behaviour = { kind: "works" };
  let hasPlainFiles = false;

  const server = createServer((request, response) => {
    const path = request.url ?? "";
    requests.push(path);
    answer(request, response, path).catch(() => response.destroy());
  });
  const listen = async (port: number) => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return address.port;
  };
  const shut = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  const port = await listen(0);
  onEnd(shut);

  async function answer(request: IncomingMessage, response: ServerResponse, path: string) {
    if (behaviour.kind === "status") {
      response.writeHead(behaviour.status).end("<p>no</p>\n");
      return;
    }
    const commit = /^\/set\/archive\/([0-9a-f]{40})\.tar\.gz$/.exec(path)?.[1];
    if (commit !== undefined) return await sendArchive(response, commit);
    if (hasPlainFiles) return await sendFile(response, repository, path.slice(SET.length));
    await sendGit(request, response, repository, gitQuestions);
  }

  async function sendArchive(response: ServerResponse, commit: string): Promise<void> {
    const archive = archiveOf(repository, commit);
    if (archive === undefined) {
      response.writeHead(404).end("404: Not Found\n");
      return;
    }
    if (behaviour.kind === "garbles") {
      response.end("<p>come back later</p>");
      return;
    }
    response.writeHead(200, { "Content-Length": archive.length });
    const half = archive.length >> 1;
    if (behaviour.kind === "cuts" && behaviour.times > 0) {
      behaviour = { ...behaviour, times: behaviour.times - 1 };
      response.write(archive.subarray(0, half), () => response.destroy());
      return;
    }
    if (behaviour.kind === "stalls") {
      const { promise, resolve } = Promise.withResolvers<void>();
      response.write(archive.subarray(0, half), () => events.emit("stalled"));
      stalled.add(resolve);
      await promise;
      stalled.delete(resolve);
      response.end(archive.subarray(half));
      return;
    }
    response.end(archive);
  }

  return {
    url: `http://127.0.0.1:${port}${SET}`,
    requests,
    gitQuestions,
    async behave(next) {
      behaviour = next;
      if (next.kind === "down") await shut();
      else if (!server.listening) await listen(port);
      for (const goOn of stalled) goOn();
    },
    serveFiles() {
      hasPlainFiles = true;
      repository.git("update-server-info");
    },
    async untilStalled() {
      if (stalled.size === 0) await once(events, "stalled");
    },
  };
}

/** As forges do, below one folder; undefined for a commit that is none of the repository's. */
function archiveOf(repository: Repository, commit: string): Buffer | undefined {
  try {
    const format = ["--format=tar.gz", `--prefix=set-${commit}/`];
    return execFileSync("git", ["-C", repository.path, "archive", ...format, commit], {
      ...{ env: GIT_ENV, stdio: ["ignore", "pipe", "ignore"], maxBuffer: 1 << 28 },
    });
  } catch {
    return undefined;
  }
}

async function sendFile(response: ServerResponse, { path }: Repository, name: string) {
  const file = /^[^?]*/.exec(name)?.[0] ?? "";
  const bytes = await readFile(join(path, ".git", file)).catch(() => undefined);
  response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
}

/** `asked` keeps the body of each question. */
async function sendGit(
  request: IncomingMessage,
  response: ServerResponse,
  { path }: Repository,
  asked: string[],
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  asked.push(body.toString());
  const { method = "", url = "", headers } = request;
  const question = { method, host: "", path: url, headers, body: async () => body };
  const reply = await answerGit(question, join(path, ".git"), url.slice(SET.length));
  response.writeHead(reply?.status ?? 404, reply?.headers).end(reply?.body);
}
