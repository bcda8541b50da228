// The Worker's entry: the app with the real clock, and this isolate's memory.

import { createApp, createIsolate } from "./app.ts";
import { writeLog } from "./request/log.ts";

export default createApp({
  isolate: createIsolate(),
  now: () => Date.now(),
  log: writeLog,
});
