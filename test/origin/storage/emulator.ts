// Google Cloud Storage on this machine: fake-gcs-server in memory, on loopback.

import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openBucket } from "../../../origin/storage/bucket.ts";
import { goProgram } from "../../e2e/go-programs.ts";
import { freePort } from "../../free-port.ts";
import type { Ending } from "../fixture.ts";

export interface Emulator {
  readonly url: string;
  /** Makes an empty bucket, and gives its name. */
  makeBucket(): Promise<string>;
}

/** Why there is none here; compiled where it never was, which takes a minute. */
export async function missingEmulator(): Promise<string | false> {
  const program = await goProgram("fake-gcs-server");
  return program.kind === "missing" && program.reason;
}

export async function startEmulator(onEnd: Ending): Promise<Emulator> {
  const program = await goProgram("fake-gcs-server");
  if (program.kind === "missing") throw new Error(program.reason);
  const port = await freePort();
  const address = ["-scheme", "http", "-host", "127.0.0.1", "-port", String(port)];
  const names = ["-public-host", `127.0.0.1:${port}`, "-external-url", `http://127.0.0.1:${port}`];
  const options = [...address, ...names, "-backend", "memory", "-log-level", "info"];
  const child = spawn(program.path, options, { stdio: ["ignore", "ignore", "pipe"] });
  onEnd(async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  // Its first line says that it listens.
  await once(child.stderr, "data");
  child.stderr.resume();
  const url = `http://127.0.0.1:${port}`;
  let made = 0;
  return {
    url,
    async makeBucket() {
      made += 1;
      const name = `bucket-${made}`;
      const body = JSON.stringify({ name });
      const response = await fetch(`${url}/storage/v1/b`, { method: "POST", body });
      if (!response.ok) throw new Error(`no bucket: ${response.status}`);
      return name;
    },
  };
}

export const ACCOUNT = "origin@project.iam.gserviceaccount.com";

/** The key file of a service account that nobody has. */
export async function plantKey(
  folder: string,
  { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 }),
): Promise<string> {
  const path = join(folder, "key.json");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  const account = { type: "service_account", project_id: "project", client_email: ACCOUNT };
  await writeFile(path, JSON.stringify({ ...account, private_key: pem }));
  return path;
}

export function bucketOf({ url }: Emulator, name: string) {
  return openBucket({ name, endpoint: url });
}
