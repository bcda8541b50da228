// The two trees that packing is measured on, made of the files of the package set: many small files
// as libraries of scripts have them, and few large ones as compilers and browsers have them. Copies
// of a file lie many megabytes apart, beyond the window of every compressor compared here.

import { copyFile, lstat, mkdir, open, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  parseStorePath,
  type StorePath,
  storePathBase,
  storePathName,
} from "../../registry/naming/store-path.ts";
import { createRandom, type Random, shuffle } from "./random.ts";

export interface Tree {
  readonly storePath: StorePath;
  readonly files: number;
  readonly sizeBytes: number;
}

export interface SourceFile {
  readonly path: string;
  /** Where it lies below a tree: its package's name and its path in the package. */
  readonly name: string;
  readonly sizeBytes: number;
}

const SEED = 20_240_117;
const SMALL_FILE_LIMIT_BYTES = 300_000;
const SMALL_FILES = 10_000;
const LARGE_FILES = 50;
const LARGE_FILE_SIZE_BYTES = 2_000_000;

/** The regular files of the store paths, in a fixed order. */
export async function listFiles(storePaths: readonly StorePath[]): Promise<readonly SourceFile[]> {
  const files: SourceFile[] = [];
  const walk = async (path: string, name: string): Promise<void> => {
    const stats = await lstat(path);
    if (stats.isFile()) files.push({ path, name, sizeBytes: stats.size });
    if (!stats.isDirectory()) return;
    for (const child of (await readdir(path)).sort())
      await walk(`${path}/${child}`, `${name}/${child}`);
  };
  for (const storePath of storePaths) await walk(storePath, storePathName(storePath));
  return files;
}

/** About 10,000 files of the set below 300 kB, each as often as it takes. */
export async function buildSmallTree(store: string, files: readonly SourceFile[]): Promise<Tree> {
  const storePath = treePath("many-small-files");
  const small = files.filter((file) => file.sizeBytes < SMALL_FILE_LIMIT_BYTES);
  let sizeBytes = 0;
  for (let index = 0; index < SMALL_FILES; index++) {
    const file = small[index % small.length];
    if (file === undefined) throw new Error("the package set has no small files");
    const copy = String(Math.floor(index / small.length));
    const destination = join(store, storePathBase(storePath), copy, file.name);
    await mkdir(dirname(destination), { recursive: true });
    await copyFile(file.path, destination);
    sizeBytes += file.sizeBytes;
  }
  return { storePath, files: SMALL_FILES, sizeBytes };
}

/** 50 files of 2 MB and more, each made of programs, libraries and data of the set. */
export async function buildLargeTree(store: string, files: readonly SourceFile[]): Promise<Tree> {
  const storePath = treePath("few-large-files");
  const directory = join(store, storePathBase(storePath));
  await mkdir(directory, { recursive: true });
  const parts = endless(largeFiles(files), createRandom(SEED));
  let sizeBytes = 0;
  for (let index = 0; index < LARGE_FILES; index++) {
    sizeBytes += await joinFiles(join(directory, `part-${index}`), parts, LARGE_FILE_SIZE_BYTES);
  }
  return { storePath, files: LARGE_FILES, sizeBytes };
}

/** One file of at least the given size, of the same stuff. */
export async function buildHugeFile(
  store: string,
  files: readonly SourceFile[],
  sizeBytes: number,
): Promise<Tree> {
  const storePath = treePath("one-huge-file");
  await mkdir(store, { recursive: true });
  const parts = endless(largeFiles(files), createRandom(SEED));
  const written = await joinFiles(join(store, storePathBase(storePath)), parts, sizeBytes);
  return { storePath, files: 1, sizeBytes: written };
}

/** What remains of a packing when there is nothing to pack: the start of the program. */
export async function buildEmptyTree(store: string): Promise<Tree> {
  const storePath = treePath("nothing");
  await mkdir(join(store, storePathBase(storePath)), { recursive: true });
  return { storePath, files: 0, sizeBytes: 0 };
}

function largeFiles(files: readonly SourceFile[]): readonly SourceFile[] {
  return files.filter((file) => file.sizeBytes >= SMALL_FILE_LIMIT_BYTES);
}

function* endless<Item>(items: readonly Item[], random: Random): Generator<Item, never> {
  if (items.length === 0) throw new Error("the package set has no large files");
  for (;;) yield* shuffle(random, items);
}

/** Writes whole files one after the other until the size is reached. */
async function joinFiles(
  destination: string,
  parts: Generator<SourceFile, never>,
  atLeastBytes: number,
): Promise<number> {
  const output = await open(destination, "w");
  let sizeBytes = 0;
  while (sizeBytes < atLeastBytes) {
    const part = parts.next().value;
    await output.writeFile(await readFile(part.path));
    sizeBytes += part.sizeBytes;
  }
  await output.close();
  return sizeBytes;
}

function treePath(name: string): StorePath {
  const path = parseStorePath(`/nix/store/${"0".repeat(32)}-${name}`);
  if (path === undefined) throw new Error(`${name} names no store path`);
  return path;
}
