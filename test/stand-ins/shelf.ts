// What lies in the binary cache: the outputs of all revisions of the set, which Nix is asked for, and
// what was put there by hand.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Item } from "./binary-cache.ts";
import type { Bootstrap } from "./bootstrap.ts";
import { file, folderOf, type NarTree } from "./nar.ts";
import { sourceAt } from "./package-set/sources.ts";
import type { Revision } from "./revisions.ts";

export interface Shelf {
  /** By the 32 digits before its name. */
  itemOf(hash: string): Promise<Item | undefined>;
  items(): Promise<readonly Item[]>;
  add(item: Item): void;
}

export interface ShelfOptions {
  /** May grow. */
  readonly revisions: readonly Revision[];
  readonly systems: readonly string[];
  readonly bootstrap: Bootstrap;
  /** A home for Nix. */
  readonly folder: string;
}

const OUTPUTS = fileURLToPath(new URL("./package-set/outputs.nix", import.meta.url));
const MAX_OUTPUT_BYTES = 256 << 20;
const run = promisify(execFile);

export function stockShelf(options: ShelfOptions): Shelf {
  const items = new Map<string, Item>();
  const asked = new Map<string, Promise<void>>();
  const add = (item: Item) => void items.set(hashOf(item.path), item);

  /** Once for each revision and system; the newest first, which is asked for most. */
  async function learn(until: () => boolean): Promise<void> {
    for (const revision of options.revisions.toReversed()) {
      for (const system of options.systems) {
        const key = `${revision.commit} ${system}`;
        const learning =
          asked.get(key) ?? evaluate(revision, system).then((all) => all.forEach(add));
        asked.set(key, learning);
        await learning;
        if (until()) return;
      }
    }
  }

  async function evaluate(revision: Revision, system: string): Promise<readonly Item[]> {
    const { stdout } = await run(
      "nix-instantiate",
      [
        ...["--eval", "--strict", "--json", "--store", "dummy://", OUTPUTS],
        ...["--arg", "tree", revision.treePath(), "--argstr", "system", system],
      ],
      { env: nixEnv(options.folder), maxBuffer: MAX_OUTPUT_BYTES },
    );
    return itemsOf(JSON.parse(stdout), options.bootstrap);
  }

  return {
    add,
    async itemOf(hash) {
      if (!items.has(hash)) await learn(() => items.has(hash));
      return items.get(hash);
    },
    async items() {
      await learn(() => false);
      return [...items.values()];
    },
  };
}

/** Nothing of the user who runs this; the set itself is asked, and no version of Nix is refused. */
function nixEnv(folder: string): Record<string, string> {
  return { PATH: process.env.PATH ?? "", HOME: join(folder, "home"), NIX_CONFIG: "" };
}

/** What outputs.nix gives. */
interface Listing {
  readonly packages: readonly (PackageOutput | SourceFile)[];
  readonly environments: readonly { readonly path: string; readonly tools: readonly string[] }[];
  readonly bootstrap: string;
}

interface PackageOutput {
  readonly path: string;
  readonly deriver: string;
  readonly output: string;
  readonly pname: string;
  readonly version: string;
  readonly references: readonly string[];
  readonly programs: readonly string[];
  readonly files: readonly string[];
  readonly size: number;
}

interface SourceFile {
  readonly path: string;
  readonly url: string;
}

function itemsOf(listing: Listing, bootstrap: Bootstrap): readonly Item[] {
  return [
    ...listing.packages.map((each) => ("url" in each ? sourceItem(each) : packageItem(each))),
    ...listing.environments.map(({ path, tools }) => ({
      ...{ path, references: tools },
      tree: () => folderOf({ "nix-support/made": MADE, "nix-support/tools": text(tools) }),
    })),
    { path: listing.bootstrap, references: [], tree: () => bootstrap.tree },
  ];
}

/** What nix-support/made says of where a path comes from: here, or from its builder (builder.sh). */
export const CACHE_MARKER = "from the cache";
export const SOURCE_MARKER = "from source";
const MADE = text([CACHE_MARKER]);

/** In the same places as the builder of the set has them (builder.sh). */
function packageItem(output: PackageOutput): Item {
  const { path, deriver, references, programs, files, pname, size } = output;
  const about = [path, CACHE_MARKER, ...references];
  return {
    ...{ path, deriver, references },
    tree: () =>
      folderOf({
        "nix-support/made": MADE,
        "nix-support/needed": text(references),
        ...Object.fromEntries(
          programs.map((name) => [`bin/${name}`, text([name, ...about], true)]),
        ),
        ...Object.fromEntries(files.map((name) => [name, text([name, ...about])])),
        ...(size > 0 && { [`lib/lib${pname}.so`]: file(filler(path, size)) }),
        ...(output.output === "dev" && { [`include/${pname}.h`]: text([`/* ${path} */`]) }),
        ...(output.output === "man" && { [`share/man/man1/${pname}.1`]: text([`.TH ${pname}`]) }),
        ...(output.output === "doc" && { [`share/doc/${pname}/readme`]: text([pname]) }),
      }),
  };
}

function sourceItem({ path, url }: SourceFile): Item {
  return { path, references: [], tree: () => file(sourceAt(new URL(url).pathname) ?? "") };
}

function text(lines: readonly string[], executable = false): NarTree {
  return file(`${lines.join("\n")}\n`, executable);
}

/** Bytes that compress to about a half, as programs do; the same for one path in every run. */
function filler(path: string, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  let state = Buffer.from(path).readUInt32LE("/nix/store/".length) | 1;
  for (let at = 0; at < sizeBytes; at++) {
    // xorshift32 (Marsaglia 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = 0x40 + (state & 0x0f);
  }
  return bytes;
}

function hashOf(storePath: string): string {
  return storePath.slice("/nix/store/".length).slice(0, 32);
}
