// What Nix inside an image must find: a database that knows the image's store paths, and a root that
// holds them. Without these its first collection of garbage deletes the image.
//
// The files are what Nix itself keeps below /nix/var/nix (schema 10, the same since Nix 2.0), and say
// nothing that differs between machines: neither derivers, which are not in an image, nor signatures, nor
// when a path was registered.

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { toDigest } from "../../registry/naming/digest.ts";
import { parseStorePath, type StorePath, storePathBase } from "../../registry/naming/store-path.ts";
import { compareBytes } from "./byte-string.ts";
import type { ValidClosure } from "./closure.ts";
import { type ArchiveEntry, archiveEntries, DIRECTORY_MODE } from "./entries.ts";

const STATE = "nix/var/nix";
const ROOTS = `${STATE}/gcroots/nixport`;
const FILE_MODE = 0o644;
const SCHEMA_VERSION = "10";
/** Of everything in an image. */
const TIME_SECONDS = 1;

/**
 * Folders that Nix makes when it starts. Where it cannot, on a root that is read-only, a Nix that has been
 * told so (`local?read-only=true`) looks into the store all the same.
 */
const FOLDERS = [
  "nix/store/.links",
  `${STATE}/gcroots/per-user`,
  `${STATE}/profiles/per-user`,
  `${STATE}/temproots`,
];

/**
 * Nix as root builds as users of a group, of which an image has none, and in a sandbox, for which a
 * container has no rights as a rule.
 */
const SETTINGS = `build-users-group =
sandbox = false
`;

/** `closure` is all that the image has in its store, which `outputs` reach. */
export function nixDatabase(
  closure: ValidClosure,
  outputs: readonly StorePath[],
): readonly ArchiveEntry[] {
  return [
    ...FOLDERS.map((path) => ({ kind: "directory", path, mode: DIRECTORY_MODE }) as const),
    file(`${STATE}/db/db.sqlite`, databaseOf(closure)),
    file(`${STATE}/db/schema`, new TextEncoder().encode(SCHEMA_VERSION)),
    file("etc/nix/nix.conf", new TextEncoder().encode(SETTINGS)),
    ...outputs.map((output) => {
      const base = storePathBase(output);
      return { kind: "link", path: `${ROOTS}/${base}`, target: output } as const;
    }),
  ];
}

function file(path: string, content: Uint8Array): ArchiveEntry {
  return { kind: "file", path, mode: FILE_MODE, content };
}

/**
 * Nix's tables, as it expects to find them in a database of its schema. The last one is of newer versions,
 * which make it where they can write.
 */
const TABLES = `
  CREATE TABLE ValidPaths (
    id integer primary key autoincrement not null, path text unique not null, hash text not null,
    registrationTime integer not null, deriver text, narSize integer, ultimate integer, sigs text,
    ca text
  );
  CREATE TABLE Refs (
    referrer integer not null, reference integer not null, primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
  );
  CREATE INDEX IndexReferrer ON Refs(referrer);
  CREATE INDEX IndexReference ON Refs(reference);
  CREATE TRIGGER DeleteSelfRefs BEFORE DELETE ON ValidPaths BEGIN
    DELETE FROM Refs WHERE referrer = old.id AND reference = old.id;
  END;
  CREATE TABLE DerivationOutputs (
    drv integer not null, id text not null, path text not null, primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
  );
  CREATE INDEX IndexDerivationOutputs ON DerivationOutputs(path);
  CREATE TABLE SchemaMigrations (migration text primary key not null);`;

/** By way of a file: what is in memory only, Node before 24.16 gives to nobody. */
function databaseOf(closure: ValidClosure): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "nixport-database-"));
  try {
    const path = join(folder, "db.sqlite");
    writeDatabase(path, closure);
    return withoutWriter(readFileSync(path));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeDatabase(file: string, closure: ValidClosure): void {
  const sorted = closure.toSorted((a, b) => compareBytes(a.path, b.path));
  const ids = new Map(sorted.map(({ path }, place) => [path, place + 1]));
  using database = new DatabaseSync(file);
  // Nobody needs the file after a crash; and nothing is left in it of what was moved within.
  database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON");
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
  database.exec(`${TABLES} BEGIN`);
  const addPath = database.prepare(
    "INSERT INTO ValidPaths (path, hash, registrationTime, narSize) VALUES (?, ?, ?, ?)",
  );
  for (const { path, narHash, narSizeBytes } of sorted) {
    if (narHash === null) throw new Error(`Nix says nothing that is known of the hash of ${path}`);
    addPath.run(path, narHash, TIME_SECONDS, narSizeBytes);
  }
  const addReference = database.prepare("INSERT INTO Refs VALUES (?, ?)");
  for (const { path, references, refersToItself } of sorted) {
    const all = [...references, ...(refersToItself ? [path] : [])].sort(compareBytes);
    for (const reference of all) addReference.run(ids.get(path) ?? 0, ids.get(reference) ?? 0);
  }
  // Written anew from the tables, the bytes do not depend on how they came to be there.
  database.exec("COMMIT; VACUUM");
}

/** SQLite's file format, 1.3 and 1.6: the header, and what a page of a tree says of itself. */
const PAGE_BYTES = 4096;
const HEADER_BYTES = 100;
const CHANGE_COUNTER_AT = 24;
const VERSION_VALID_FOR_AT = 92;
const SQLITE_VERSION_AT = 96;
/** By the kind of the page: those of the inside of a tree, and leaves. */
const PAGE_HEADER_BYTES: Readonly<Record<number, number>> = { 2: 12, 5: 12, 10: 8, 13: 8 };

/**
 * Takes out what tells one SQLite from another, and means nothing to a reader: its version and how often it
 * wrote, and what it has left in the unused middle of a page.
 */
function withoutWriter(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(1, CHANGE_COUNTER_AT);
  bytes.writeUInt32BE(1, VERSION_VALID_FOR_AT);
  bytes.writeUInt32BE(0, SQLITE_VERSION_AT);
  for (let page = 0; page < bytes.length; page += PAGE_BYTES) {
    const at = page === 0 ? HEADER_BYTES : page;
    const headerBytes = PAGE_HEADER_BYTES[bytes.readUInt8(at)];
    if (headerBytes === undefined) throw new Error("a page of SQLite's that is in no tree");
    const pointersEnd = at + headerBytes + 2 * bytes.readUInt16BE(at + 3);
    bytes.fill(0, pointersEnd, page + bytes.readUInt16BE(at + 5));
  }
  return bytes;
}

/** More than a page of each table takes. */
const SAMPLE_PATHS = 200;
const SAMPLE_REFERENCES = 7;

let id: string | undefined;

/**
 * Tells one way to write all this from another: part of whatever says how layers are made. It is found by
 * what this SQLite makes of a sample, since another version's bytes are the same as a rule, and need not be.
 */
export function databaseId(): string {
  id ??= createHash("sha256")
    .update(archiveEntries(nixDatabase(sampleClosure(), [])))
    .digest("hex")
    .slice(0, 12);
  return id;
}

function sampleClosure(): ValidClosure {
  const paths = Array.from({ length: SAMPLE_PATHS }, (_, place) => {
    const path = parseStorePath(`/nix/store/${String(place).padStart(32, "0")}-sample`);
    if (path === undefined) throw new Error("a sample is no store path");
    return path;
  });
  return paths.map((path, place) => ({
    path,
    narHash: toDigest(new Uint8Array(32).fill(place).buffer),
    narSizeBytes: place * place,
    references: paths.slice(Math.max(0, place - SAMPLE_REFERENCES), place),
    refersToItself: place % 2 === 0,
  }));
}
