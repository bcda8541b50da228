// A deployment as a client sees it: requests as it is asked for them, answers read within limits, a login
// where one is wanted, and a wait while an image is being made.

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as v from "valibot";
import { cancelBody, readLimited } from "../../registry/http/body.ts";
import { isStillBuilding } from "../../registry/http/building.ts";
import { parseJson } from "../../registry/http/json.ts";
import { fetchProblem } from "../words/fetch-problem.ts";
import { type Answer, Fault } from "./fault.ts";
import { type Credentials, createLogin, type Login } from "./login.ts";

export interface DeploymentOptions {
  /** Without a final slash. */
  readonly url: string;
  /** Null: as anybody. */
  readonly credentials: Credentials | null;
  /** For how long an image that is being made is asked for again. */
  readonly waitMs: number;
  /** Aborted when whoever asks wants no more: all of it rejects with its reason then. */
  readonly signal?: AbortSignal;
}

export interface Asked {
  readonly method?: "GET" | "HEAD" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Of a body that is too large to be kept. */
export interface Streamed {
  readonly status: number;
  readonly headers: Headers;
  /** Of the bytes that came. */
  readonly digest: string;
  readonly sizeBytes: number;
}

export interface Deployment {
  readonly url: string;
  /** Null where nobody is to log in. */
  readonly credentials: Credentials | null;
  readonly waitMs: number;
  /** Throws `Fault` where there is no answer. Whatever the status is. */
  ask(asked: Asked): Promise<Answer>;
  /** The same once it is made, or the wait is over. */
  askWhenMade(asked: Asked): Promise<Answer>;
  /** A GET of any size. */
  stream(path: string): Promise<Streamed>;
  /** As somebody else. */
  as(credentials: Credentials | null): Deployment;
}

/** A registry may hold a request for some minutes before it says that it builds. */
const DEADLINE_MS = 600_000;
const MAX_BODY_BYTES = 8 << 20;
const DEFAULT_RETRY_AFTER_SECONDS = 5;

const buildingSchema = v.object({ errors: v.array(v.object({ detail: v.optional(v.unknown()) })) });

export function createDeployment(options: DeploymentOptions): Deployment {
  const { url, credentials, waitMs, signal = new AbortController().signal } = options;
  const login = createLogin(credentials);

  async function read(asked: Asked): Promise<Answer> {
    return open({ url, login, signal }, asked, async ({ status, headers, body }) => {
      const bytes = await readLimited(body, MAX_BODY_BYTES);
      if (bytes === undefined) throw new Fault(`answers more than ${MAX_BODY_BYTES} bytes`);
      return { status, headers, bytes };
    });
  }

  return {
    url,
    credentials,
    waitMs,
    ask: read,
    async askWhenMade(asked) {
      const endMs = performance.now() + waitMs;
      for (;;) {
        const answer = await read(asked);
        const againMs = 1000 * retryAfterSeconds(answer.headers);
        if (!isPassing(answer) || performance.now() + againMs > endMs) return answer;
        await sleep(againMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      }
    },
    stream(path) {
      return open({ url, login, signal }, { path }, async ({ status, headers, body }) => {
        const hash = createHash("sha256");
        let sizeBytes = 0;
        for await (const chunk of body ?? []) {
          hash.update(chunk);
          sizeBytes += chunk.length;
        }
        return { status, headers, digest: `sha256:${hash.digest("hex")}`, sizeBytes };
      });
    },
    as: (others) => createDeployment({ ...options, credentials: others }),
  };
}

interface Asking {
  readonly url: string;
  readonly login: Login;
  readonly signal: AbortSignal;
}

async function open<Result>(
  { url, login, signal: stopped }: Asking,
  { method = "GET", path, headers = {} }: Asked,
  use: (response: Response) => Promise<Result>,
): Promise<Result> {
  const send = async () => {
    const authorization = login.authorization(path);
    const all = {
      // A coded body would be decoded on the way: the registry's clients want bytes as they are.
      "Accept-Encoding": "identity",
      ...headers,
      ...(authorization !== undefined && { Authorization: authorization }),
    };
    const signal = AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), stopped]);
    return fetch(`${url}${path}`, { method, headers: all, signal });
  };
  try {
    const first = await send();
    if (first.status !== 401 || !(await login.answers(first.headers, path)))
      return await use(first);
    await cancelBody(first.body);
    return await use(await send());
  } catch (error) {
    stopped.throwIfAborted();
    if (error instanceof Fault) throw error;
    throw new Fault(`gives no whole answer: ${fetchProblem(error)}`);
  }
}

/** Of what is being made, or waits for its turn. */
function isPassing({ status, bytes }: Answer): boolean {
  if (status === 429) return true;
  const parsed = v.safeParse(buildingSchema, parseJson(bytes));
  return status === 503 && parsed.success && isStillBuilding(parsed.output.errors[0]?.detail);
}

function retryAfterSeconds(headers: Headers): number {
  const text = headers.get("Retry-After") ?? "";
  return /^\d{1,3}$/.test(text) ? Math.max(Number(text), 1) : DEFAULT_RETRY_AFTER_SECONDS;
}
