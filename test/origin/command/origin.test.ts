// `npm run origin` as a process.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../fixture.ts";
import { startGitServer } from "../sources/git-server.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/origin.ts", import.meta.url));

describe("npm run origin", { timeout: 30_000 }, () => {
  test("ends at once with 0 when it is stopped while its source does not answer", async (t) => {
    const statePath = await temporaryDirectory(t);
    const server = await startGitServer(t, statePath);
    server.hang();
    const child = spawn(process.execPath, [COMMAND], {
      env: {
        ...{ PATH: process.env.PATH ?? "", HOME: statePath, NIXPORT_LOG_LEVEL: "silent" },
        ...{ PORT: "0", NIXPORT_STATE: statePath, NIXERY_PKGS_REPO: server.url },
      },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const ended = once(child, "exit");
    await server.untilUnanswered(1);
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
  });
});
