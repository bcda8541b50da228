// Git's smart protocol over HTTP, as far as fetching goes: git itself answers, and this hands it
// what the web server was asked.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { gunzipSync } from "node:zlib";
import { GIT_ENV } from "../origin/sources/git-repository.ts";
import type { Asked, Reply } from "./web-server.ts";

/** Undefined for what is no request of git's. `rest` is what follows the name of the repository. */
export async function answerGit(
  asked: Asked,
  repositoryPath: string,
  rest: string,
): Promise<Reply | undefined> {
  const protocol = asked.headers["git-protocol"];
  const env = { ...GIT_ENV, ...(protocol !== undefined && { GIT_PROTOCOL: String(protocol) }) };
  if (rest === "/info/refs?service=git-upload-pack") {
    const refs = await uploadPack(["--http-backend-info-refs"], repositoryPath, env, "");
    // Version 2 begins with what the server can do, the older ones with the name of the service.
    const hello = String(protocol ?? "").includes("version=2")
      ? Buffer.alloc(0)
      : Buffer.from("001e# service=git-upload-pack\n0000");
    return gitReply("advertisement", Buffer.concat([hello, refs]));
  }
  if (rest === "/git-upload-pack" && asked.method === "POST") {
    const body = await asked.body();
    const isPacked = asked.headers["content-encoding"] === "gzip";
    const question = isPacked ? gunzipSync(body) : body;
    return gitReply("result", await uploadPack([], repositoryPath, env, question));
  }
  return undefined;
}

function gitReply(what: string, body: Buffer): Reply {
  return {
    status: 200,
    headers: {
      "Content-Type": `application/x-git-upload-pack-${what}`,
      "Cache-Control": "no-cache, max-age=0, must-revalidate",
    },
    body,
    unmeasured: true,
  };
}

async function uploadPack(
  flags: readonly string[],
  repositoryPath: string,
  env: Readonly<Record<string, string>>,
  input: Buffer | string,
): Promise<Buffer> {
  const child = spawn("git", ["upload-pack", "--stateless-rpc", ...flags, repositoryPath], {
    env,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  // One that ends early has said why in its output.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  await once(child, "close");
  return Buffer.concat(chunks);
}
