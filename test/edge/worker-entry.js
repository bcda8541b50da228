// The Worker under test, wrapped at its outermost edge: a header of the request sets the clock and
// makes bindings fail or hang; a header of the answer says which operations it took. JavaScript,
// because it runs in workerd while everything around it is type-checked for Node.

import { createApp } from "../../edge/app.ts";
import { createIsolate } from "../../edge/create-edge.ts";
import { writeLog } from "../../edge/request/log.ts";
import { holdOf } from "../../registry/http/hold.ts";
import {
  BEHIND_PATH,
  CONTROLS_HEADER,
  NOW_MS,
  OPERATIONS_HEADER,
  R2_ANSWERED_PATH,
  SUBREQUESTS_HEADER,
} from "./controls.ts";

export { CachedBlobs } from "../../edge/worker.ts";

const isolates = new Map();
const counted = new Map();

export default {
  async fetch(request, env, context) {
    const controls = JSON.parse(request.headers.get(CONTROLS_HEADER) ?? "{}");
    const headers = new Headers(request.headers);
    headers.delete(CONTROLS_HEADER);
    const operations = {};
    const cached = {};
    const askedR2 = Promise.withResolvers();
    const behind = [];
    const url = new URL(request.url);
    if (controls.location) url.hostname = `${controls.location}.example`;
    const app = createApp({
      isolate: controls.coldMemory ? createIsolate() : isolateOf(controls.isolate ?? ""),
      now: () => controls.nowMs ?? NOW_MS,
      log: writeLog,
      openCache: () => watch("cache", cacheOf(controls), {}, cached),
      holdOf: (client) => scaled(holdOf(client), controls.secondMs ?? 1000),
      originDeadlinesMs: {
        manifestMs: controls.deadlineMs ?? 20_000,
        blobMs: controls.blobDeadlineMs ?? 20_000,
      },
    });
    if (controls.behind) context.waitUntil(fetch(new URL(BEHIND_PATH, env.ORIGIN_URL)));
    const response = await app.fetch(
      new Request(new Request(url, request), { headers, signal: request.signal }),
      {
        ...env,
        KV: watch("kv", env.KV, controls, operations, controls.slowKv && askedR2.promise),
        ...(controls.limiter && { MISS_LIMIT: limiter(controls.limiter) }),
        ...(controls.logins && { LOGIN_LIMIT: limiter(controls.logins) }),
        ...(controls.keeping && { KEEP_LIMIT: limiter(controls.keeping) }),
        R2: watch("r2", misled(env, controls), controls, operations, undefined, askedR2.resolve),
      },
      {
        exports: { CachedBlobs: noting(context.exports.CachedBlobs, controls, operations) },
        passThroughOnException() {},
        waitUntil(work) {
          behind.push(work);
          context.waitUntil(work);
        },
      },
    );
    const answer = new Response(response.body, response);
    const before = { ...operations, ...cached };
    // So that a test sees what was done behind an answer without waiting for some time.
    if (!controls.unsettled) for (const work of behind) await work;
    answer.headers.set(OPERATIONS_HEADER, JSON.stringify(operations));
    answer.headers.set(
      SUBREQUESTS_HEADER,
      JSON.stringify({ before, all: { ...operations, ...cached } }),
    );
    return answer;
  },
};

function isolateOf(name) {
  const isolate = isolates.get(name) ?? createIsolate();
  isolates.set(name, isolate);
  return isolate;
}

function cacheOf({ forgetfulCache, copies }) {
  if (forgetfulCache) return FORGETFUL;
  return copies ? damaging(copies) : caches.default;
}

function scaled(hold, secondMs) {
  return { ...hold, seconds: hold.seconds && (hold.seconds * secondMs) / 1000 };
}

const FORGETFUL = {
  match: async () => undefined,
  put: async (_key, response) => void (await response.bytes()),
  delete: async () => false,
};

function damaging(how) {
  const cache = caches.default;
  return {
    async match(key) {
      const copy = await cache.match(key);
      return copy && damaged(copy, copy, how);
    },
    put: (key, response) => cache.put(key, response),
    delete: (key) => cache.delete(key),
  };
}

async function damaged(copy, init, how) {
  const bytes = await copy.bytes();
  const wrong = how === "cut" ? bytes.slice(1) : bytes.map((byte) => byte ^ 1);
  return new Response(new Response(wrong).body, init);
}

/** As Workers Cache stands before an entrypoint, with a wrong copy where a test wants that. */
function noting(entrypoint, { copies }, operations) {
  return {
    async fetch(url, init) {
      const operation = `shared.${init?.method ?? "GET"}`;
      operations[operation] = (operations[operation] ?? 0) + 1;
      const answer = await entrypoint.fetch(url, init);
      if (!copies || init?.method !== undefined) return answer;
      const headers = { ...Object.fromEntries(answer.headers), "CF-Cache-Status": "HIT" };
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(init?.headers.Range) ?? [];
      if (first === undefined) return damaged(answer, { headers }, copies);
      const part = (await answer.bytes()).slice(Number(first), Number(last) + 1);
      return damaged(new Response(part), { status: 206 }, copies);
    },
  };
}

function misled({ R2: bucket, ORIGIN_URL }, controls) {
  const { overtakenBy, tellsOfR2, wrongRange, cutsSecondRead } = controls;
  if (cutsSecondRead) return cutting(bucket);
  if (tellsOfR2) {
    return {
      async get(...args) {
        const object = await bucket.get(...args);
        await fetch(new URL(R2_ANSWERED_PATH, ORIGIN_URL));
        return object;
      },
    };
  }
  if (wrongRange) return { get: (key) => bucket.get(key, { range: { offset: 0, length: 1 } }) };
  if (overtakenBy === undefined) return bucket;
  let isOvertaken = false;
  return {
    put: (...args) => bucket.put(...args),
    async get(key) {
      const object = await bucket.get(key);
      if (isOvertaken || !key.startsWith("pointers/")) return object;
      isOvertaken = true;
      const [collection, composer, variant, , ...recipe] = key.split("/");
      const winner = [collection, composer, variant, overtakenBy, ...recipe].join("/");
      const newer = await bucket.get(winner);
      const { customMetadata } = newer;
      await bucket.put(key, await newer.arrayBuffer(), { customMetadata });
      return object;
    },
  };
}

function cutting(bucket) {
  let reads = 0;
  return {
    async get(...args) {
      const object = await bucket.get(...args);
      reads += 1;
      if (reads < 2) return object;
      const { checksums, size } = object;
      await object.body.cancel();
      return { checksums, size, body: new Response(new Uint8Array(size / 2)).body };
    },
  };
}

function limiter(how) {
  return {
    async limit({ key }) {
      if (how === "fails") throw new Error("the limiter is down");
      if (how === "refuses") return { success: false };
      counted.set(key, (counted.get(key) ?? 0) + 1);
      return { success: counted.get(key) <= how };
    },
  };
}

function watch(name, binding, controls, operations, gate, onAsked) {
  return new Proxy(binding, {
    get(target, property) {
      const member = Reflect.get(target, property, target);
      if (typeof member !== "function") return member;
      return (...args) => {
        const operation = `${name}.${String(property)}`;
        operations[operation] = (operations[operation] ?? 0) + 1;
        onAsked?.();
        if (controls.fail?.includes(name)) return Promise.reject(new Error(`${name} is down`));
        if (controls.hang?.includes(name)) return new Promise(() => {});
        return gate ? gate.then(() => member.apply(target, args)) : member.apply(target, args);
      };
    },
  });
}
