// The Worker, wrapped where it meets the platform: each tier takes as long as the place says that a
// request comes from, and each operation is counted. No request finds an isolate that knows anything.
// Pulls come one at a time, and are over when all that they do behind the answer is. What comes from no
// place, such as what the origin gives, takes no time and may come between.
// JavaScript, because it runs in workerd while everything around it is type-checked for Node.

import { createApp } from "../../../edge/app.ts";
import { createIsolate } from "../../../edge/create-edge.ts";
import { writeLog } from "../../../edge/request/log.ts";
import { CONTROLS_HEADER, NOW_MS } from "../../edge/controls.ts";
import { NO_OPERATIONS, OPERATIONS_PATH, PLACE_HEADER, TOOK_HEADER } from "./told.ts";
import { beginTime, passedMs, takes } from "./waiting.js";

const KV_READS = ["get", "getWithMetadata"];
const R2_READS = ["get", "head"];

let operations = { ...NO_OPERATIONS };
/** Of the pull that is under way; before the first one nothing takes any time. */
let place = { kvColdMs: 0, cacheMs: 0, r2Ms: 0, originMs: 0 };
/** Until when KV has a key near a place, as reads of it have brought it there. */
const hotUntilMs = new Map();
/** Where a read says nothing else. */
const CACHE_TTL_SECONDS = 60;

const ownFetch = globalThis.fetch;
globalThis.fetch = (...args) => {
  operations.originRequests += 1;
  return takes(place.originMs, () => ownFetch(...args));
};

const watchedCache = watched(caches.default, (member) => {
  operations[member === "match" ? "cacheReads" : "cacheWrites"] += 1;
  return place.cacheMs;
});
Object.defineProperty(globalThis, "caches", { value: { default: watchedCache } });

export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    if (url.pathname === OPERATIONS_PATH) {
      const since = operations;
      operations = { ...NO_OPERATIONS };
      return Response.json(since);
    }
    operations.requests += 1;
    const told = request.headers.get(PLACE_HEADER);
    if (told === null) {
      // What a test gives is signed at the time of its world.
      const nowMs = request.headers.has(CONTROLS_HEADER) ? NOW_MS : Date.now();
      return appAt(() => nowMs).fetch(request, bindingsOf(env, atOnce), context);
    }
    place = JSON.parse(told);
    beginTime();
    url.hostname = `${place.name}.example`;
    const behind = [];
    const bindings = bindingsOf(env, takes);
    const { aheadMs } = place;
    const app = appAt(() => Date.now() + aheadMs);
    const response = await app.fetch(new Request(url, request), bindings, {
      passThroughOnException() {},
      waitUntil: (work) => void behind.push(work),
    });
    const took = passedMs();
    for (const work of behind) await work;
    const answer = new Response(response.body, response);
    answer.headers.set(TOOK_HEADER, String(took));
    return answer;
  },
};

function appAt(now) {
  return createApp({ isolate: createIsolate(), now, log: writeLog });
}

const atOnce = (_, work) => work();

function bindingsOf(env, how) {
  return {
    ...env,
    KV: watched(
      env.KV,
      (member, [keys, options]) => {
        const asked = [keys].flat();
        const isRead = KV_READS.includes(member);
        operations[isRead ? "kvReads" : "kvWrites"] += asked.length;
        return how === takes && isRead ? readMs(asked, options) : place.kvColdMs;
      },
      how,
    ),
    R2: watched(
      env.R2,
      (member) => {
        const isRead = R2_READS.includes(member);
        if (member !== "delete") operations[isRead ? "r2Reads" : "r2Writes"] += 1;
        return place.r2Ms;
      },
      how,
    ),
  };
}

function readMs(keys, { cacheTtl = CACHE_TTL_SECONDS } = {}) {
  const nowMs = Date.now() + place.aheadMs;
  const here = keys.map((key) => `${place.name} ${key}`);
  const areHot = here.every((key) => (hotUntilMs.get(key) ?? 0) > nowMs);
  for (const key of here) {
    if (!areHot) hotUntilMs.set(key, nowMs + 1000 * cacheTtl);
  }
  return areHot ? place.kvHotMs : place.kvColdMs;
}

/** Each of its operations takes as long as `msOf` says. */
function watched(target, msOf, how = takes) {
  return new Proxy(target, {
    get(_, property) {
      const member = Reflect.get(target, property, target);
      if (typeof member !== "function") return member;
      return (...args) => how(msOf(property, args), () => member.apply(target, args));
    },
  });
}
