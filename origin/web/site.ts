// The web site that shares the registry's address, as Nixery has it: the files of one folder, for
// what is not below /v2. Nothing outside the folder is ever answered, and nothing hidden in it.

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, realpath, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { getMimeType } from "hono/utils/mime";
import { type ContentPlan, hasBody, planContent } from "../../registry/http/content.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { parseFilePath, requireMethod } from "../../registry/http/route.ts";
import { OCTET_STREAM } from "../../registry/image/media-type.ts";
import type { Log } from "../log/log.ts";
import { streamOf } from "../storage/read-file.ts";

export interface WebSite {
  /** Throws RegistryError for what there is not. */
  serve(request: Request, url: URL): Promise<Response>;
}

interface WebFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly sizeBytes: number;
  readonly version: string;
}

const INDEX = "index.html";
/** Asked for again with every use: a file of the same name may be another one tomorrow. */
const REVALIDATED = "no-cache";

/** The folder is looked for with each request: it may come, or be a link that is moved, later. */
export async function openWebSite(path: string, log: Log): Promise<WebSite> {
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isFolder) log.warn({ path }, "WEB_DIR is no folder: what is not below /v2 is 404");
  return {
    async serve(request, url) {
      requireMethod(request.method, ["GET", "HEAD"], "files are only read");
      const names = parseFilePath(url);
      const found = names === undefined ? undefined : await find(path, names);
      if (found === undefined) throw new RegistryError("NAME_UNKNOWN", "no such file");
      // Links in a page are relative to its folder, which is one only with the slash.
      if (found === "folder") return redirect(`${url.pathname}/${url.search}`);
      return answer(request, found);
    },
  };
}

async function find(
  root: string,
  names: readonly string[],
): Promise<WebFile | "folder" | undefined> {
  const isFolder = names.at(-1) === "";
  const asked = join(root, ...names);
  const [realRoot, path] = await Promise.all([
    realPath(root),
    realPath(isFolder ? join(asked, INDEX) : asked),
  ]);
  if (realRoot === undefined || path === undefined || !isShown(realRoot, path)) return undefined;
  const stats = await stat(path);
  if (stats.isDirectory()) return isFolder ? undefined : "folder";
  return stats.isFile() ? openFile(path) : undefined;
}

/** After links are followed: they may lead about the folder, but to nothing outside or hidden. */
function isShown(realRoot: string, path: string): boolean {
  return !relative(realRoot, path)
    .split("/")
    .some((name) => name.startsWith("."));
}

/** Whoever may write in the folder could put a link in its place meanwhile, which is not followed. */
async function openFile(path: string): Promise<WebFile | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await absentAsUndefined(open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (handle === undefined) return undefined;
  try {
    const { size, mtimeNs, ino, dev } = await handle.stat({ bigint: true });
    // In a Nix store all times are one, and another version is another path.
    const facts = [path, size, mtimeNs, ino, dev].join("\0");
    const version = createHash("sha256").update(facts).digest("hex").slice(0, 32);
    return { handle, path, sizeBytes: Number(size), version };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function answer(request: Request, file: WebFile): Promise<Response> {
  const headers = new Headers({
    "Cache-Control": REVALIDATED,
    "X-Content-Type-Options": "nosniff",
  });
  const type = getMimeType(file.path) ?? OCTET_STREAM;
  const plan = planContent(request, { ...file, headers, type });
  const { status } = plan;
  // Of an empty file there is nothing to stream, and a range of it could not be said.
  if (!hasBody(request, plan) || file.sizeBytes === 0) {
    await file.handle.close();
    return new Response(null, { status, headers });
  }
  return new Response(bodyOf(file, plan), { status, headers });
}

/** As many bytes as were announced, though the file grows meanwhile. Closes the file when it ends. */
function bodyOf(
  { handle, sizeBytes }: WebFile,
  { range }: ContentPlan,
): ReadableStream<Uint8Array> {
  return streamOf(handle, range ?? { offset: 0, length: sizeBytes });
}

function redirect(location: string): Response {
  return new Response(null, {
    status: 301,
    headers: { Location: location, "Content-Length": "0", "Cache-Control": REVALIDATED },
  });
}

function realPath(path: string): Promise<string | undefined> {
  return absentAsUndefined(realpath(path));
}

/** What may not be read is not there either, for all that a visitor is told. */
const ABSENT = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EACCES"]);

async function absentAsUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof Error && "code" in error && ABSENT.has(String(error.code)))
      return undefined;
    throw error;
  }
}
