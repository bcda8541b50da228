// Where layers and records are kept: Nixery's variables, how clients get blobs out of a bucket, and
// Google's own variable for an emulator.

import { resolve } from "node:path";
import type { RedirectStatus } from "../../registry/http/content.ts";
import type { BucketConfig, StorageConfig } from "../storage/storage.ts";
import type { Variables } from "./variables.ts";

const BACKENDS = ["filesystem", "gcs"] as const;
const REDIRECTS = ["signed", "public", "never"] as const;
/** https://cloud.google.com/storage/docs/buckets#naming */
const BUCKET_NAME = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
const GIB = 1024 ** 3;

export function readStorage(
  variables: Variables,
  statePath: string,
): StorageConfig & { readonly redirectStatus: RedirectStatus } {
  const { text } = variables;
  const backend = oneOf(variables, "NIXERY_STORAGE_BACKEND", BACKENDS);
  const redirect = oneOf(variables, "NIXPORT_REDIRECT", REDIRECTS);
  return {
    storagePath: resolve(text("STORAGE_PATH") ?? `${statePath}/origin`),
    bucket: backend === "gcs" ? { ...readBucket(variables), redirect } : null,
    redirectStatus: readRedirectStatus(variables),
  };
}

function readBucket(variables: Variables): Omit<BucketConfig, "redirect"> {
  const { text, integer, problem } = variables;
  const name = text("GCS_BUCKET") ?? "";
  if (name === "") problem("NIXERY_STORAGE_BACKEND is gcs: GCS_BUCKET must name its bucket");
  else if (!BUCKET_NAME.test(name)) {
    problem(`GCS_BUCKET is ${JSON.stringify(name)}: the name of a bucket alone is needed`);
  }
  return {
    name,
    endpoint: readEmulator(variables),
    copiesBytes: integer("NIXPORT_COPIES_BYTES", 4 * GIB, 0, 1024 ** 5),
  };
}

/** As Google's libraries have it: with its scheme or without. */
function readEmulator({ text, problem }: Variables): string | null {
  const value = text("STORAGE_EMULATOR_HOST");
  if (value === undefined) return null;
  const url = URL.parse(value.includes("://") ? value : `http://${value}`);
  if (url !== null && /^https?:$/.test(url.protocol)) return url.origin;
  problem(`STORAGE_EMULATOR_HOST is ${JSON.stringify(value)}: a host or a URL is needed`);
  return null;
}

function readRedirectStatus(variables: Variables): RedirectStatus {
  return oneOf(variables, "NIXPORT_REDIRECT_STATUS", ["307", "303"]) === "303" ? 303 : 307;
}

/** The first of them where the variable is not set. */
function oneOf<const Word extends string>(
  { text, problem }: Variables,
  name: string,
  words: readonly [Word, ...Word[]],
): Word {
  const value = text(name);
  const word = value === undefined ? words[0] : words.find((each) => each === value);
  if (word !== undefined) return word;
  problem(`${name} is ${JSON.stringify(value)}: one of ${words.join(", ")}`);
  return words[0];
}
