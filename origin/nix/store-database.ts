// Closures read from Nix's own database: a millisecond, where a process of Nix's takes thirty. No
// interface of Nix's, so it is an accelerator only: whatever looks unfamiliar, Nix itself is asked.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { StorePath } from "../../registry/naming/store-path.ts";

/** A store path as Nix describes it; the references may hold the path itself. */
export interface StoreObject {
  readonly path: string;
  /** As nar-hash.ts reads it. */
  readonly narHash?: unknown;
  readonly narSize: number;
  readonly references: readonly string[];
}

const STATE_DIRECTORY = "/nix/var/nix";
/** Unchanged since Nix 2.0. */
const SCHEMA_VERSION = "10";

/**
 * The database that describes `/nix/store`, for Nix as it runs in this environment. Undefined where
 * that cannot be told, for one because a store elsewhere is used.
 */
export function findStoreDatabase(env: Readonly<Record<string, string>>): string | undefined {
  // Also the daemon's is this one, where it may be read.
  const isUsual = ["", "auto", "daemon", "local"].includes(env.NIX_REMOTE ?? "");
  if (!isUsual || env.NIX_STORE_DIR !== undefined) return undefined;
  return join(env.NIX_STATE_DIR ?? STATE_DIRECTORY, "db", "db.sqlite");
}

/**
 * Every path of the closures once, in no order. Undefined where the database does not answer, or
 * one of `paths` is not valid.
 */
export function readClosure(
  databasePath: string,
  paths: readonly StorePath[],
): readonly StoreObject[] | undefined {
  const objects = query(databasePath, CLOSURE, paths, collectObjects);
  return objects !== undefined && paths.every((path) => objects.has(path))
    ? [...objects.values()]
    : undefined;
}

/** Those of `paths` that are valid; undefined where the database does not answer. */
export function findValid(
  databasePath: string,
  paths: readonly StorePath[],
): ReadonlySet<string> | undefined {
  return query(databasePath, VALID, paths, (rows) => {
    const valid = [...rows].map(({ path }) => path);
    return valid.every((path) => typeof path === "string") ? new Set(valid) : undefined;
  });
}

type Rows = Iterable<Readonly<Record<string, unknown>>>;

/** Undefined where the database does not answer: it cannot be read, is locked, has another schema. */
function query<Result>(
  databasePath: string,
  statement: string,
  paths: readonly StorePath[],
  collect: (rows: Rows) => Result | undefined,
): Result | undefined {
  try {
    const schema = readFileSync(join(dirname(databasePath), "schema"), "utf8").trim();
    if (schema !== SCHEMA_VERSION) return undefined;
    // No waiting for locks, which would stop this thread: Nix can do that in a process of its own.
    using database = new DatabaseSync(databasePath, { readOnly: true, timeout: 0 });
    // Without a write-ahead log Nix locks by files that SQLite's usual way does not look at.
    if (database.prepare("PRAGMA journal_mode").get()?.journal_mode !== "wal") return undefined;
    return collect(database.prepare(statement).iterate(JSON.stringify(paths)));
  } catch (error) {
    // A system's or SQLite's. One of the latter: who may not write beside a write-ahead log may read
    // it only while somebody else has it open.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}

const VALID = "SELECT path FROM ValidPaths WHERE path IN (SELECT value FROM json_each(?))";

/** One statement, so that it sees one state whatever is written meanwhile. */
const CLOSURE = `
  WITH RECURSIVE closure(id) AS (
    SELECT id FROM ValidPaths WHERE path IN (SELECT value FROM json_each(?))
    UNION SELECT reference FROM closure JOIN Refs ON referrer = closure.id
  )
  SELECT node.path, node.hash, node.narSize, target.path AS reference
  FROM closure JOIN ValidPaths AS node USING (id)
  LEFT JOIN Refs ON Refs.referrer = node.id
  LEFT JOIN ValidPaths AS target ON target.id = Refs.reference`;

function collectObjects(rows: Rows): ReadonlyMap<string, StoreObject> | undefined {
  const objects = new Map<string, StoreObject & { readonly references: string[] }>();
  for (const { path, hash, narSize, reference } of rows) {
    if (typeof path !== "string" || typeof narSize !== "number") return undefined;
    if (typeof hash !== "string") return undefined;
    const object = objects.get(path) ?? { path, narHash: hash, narSize, references: [] };
    // A path without references has one row all the same.
    if (typeof reference === "string") object.references.push(reference);
    objects.set(path, object);
  }
  return objects;
}
