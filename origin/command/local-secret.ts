// The secret that an edge and an origin on one machine share, so that starting both needs no setup.

import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * NIXPORT_SECRET, else what is kept in the state. Two processes that start at once agree: the file
 * appears whole under its name, or not at all, and the first one stays.
 */
export async function localSecret(
  statePath: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string> {
  const named = env.NIXPORT_SECRET?.trim();
  if (named) return named;
  const path = join(statePath, "secret");
  const known = await readSecret(path);
  if (known !== undefined) return known;

  await mkdir(statePath, { recursive: true });
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`;
  await writeFile(temporary, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600, flag: "wx" });
  try {
    // A hard link fails where the name is taken; a rename would replace the other's secret.
    await link(temporary, path);
  } catch (error) {
    if (!isCode(error, "EEXIST")) throw error;
  } finally {
    await rm(temporary);
  }
  const agreed = await readSecret(path);
  if (agreed === undefined) throw new Error(`${path} holds no secret`);
  return agreed;
}

/** What localSecret would give of what is there already. */
export async function existingSecret(
  statePath: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  return env.NIXPORT_SECRET?.trim() || (await readSecret(join(statePath, "secret")));
}

async function readSecret(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).trim() || undefined;
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
