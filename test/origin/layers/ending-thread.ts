// Stands in for the thread that draws views: ends at what it is asked for.

import { parentPort } from "node:worker_threads";

parentPort?.on("message", () => process.exit(3));
