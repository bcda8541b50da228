import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { assert, describe, expect, test } from "vitest";
import { BASE_ENTRIES } from "../../../origin/layers/base.ts";
import { CHUNK_SIZE_BYTES, createChunkBuffer } from "../../../origin/layers/chunk-writer.ts";
import { compressSegment, packerId } from "../../../origin/layers/compression.ts";
import { type ArchiveEntry, archiveEntries, packEntries } from "../../../origin/layers/entries.ts";
import {
  END_OF_ARCHIVE,
  type PackedArchive,
  packLayer,
  type SegmentTask,
  STORE_PARENTS,
} from "../../../origin/layers/layer.ts";
import { FORMS, type Form } from "../../../registry/image/record.ts";
import { type StorePath, storePathBase } from "../../../registry/naming/store-path.ts";
import {
  listTree,
  plant,
  readTar,
  segmentOf,
  splitFrames,
  storePath,
  temporaryDirectory,
  unzstd,
} from "./fixture.ts";

const store = temporaryDirectory();
const scratch = temporaryDirectory();

/** Runs of text and of noise, so that compressors have choices to make; the same in every run. */
function text(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  let state = 1;
  for (let at = 0; at < sizeBytes; at += 1) {
    state = (state * 48_271) % 2_147_483_647;
    const isNoise = (at >> 14) % 5 === 0;
    const letter = 97 + (state % 20);
    bytes[at] = isNoise ? state >> 8 : at % 7 < 3 ? letter : (bytes[at - 7] ?? 32);
  }
  return bytes;
}

const small = plant(store, storePath("small-1"), { holds: { f: "small", l: { link: "f" } } });
const large = plant(store, storePath("large-1"), {
  holds: { big: text(3 * CHUNK_SIZE_BYTES + 77) },
});
const exact = plant(store, storePath("exact-1"), text(2 * CHUNK_SIZE_BYTES - 3 * 512));

let files = 0;
function pack(paths: readonly (StorePath | SegmentTask)[], form: Form, storeDirectory = store) {
  files += 1;
  const destination = `${scratch}/${files}`;
  const segments = paths.map((path) => (typeof path === "string" ? { storePath: path } : path));
  const packed = packLayer({ segments, form, destination, storeDirectory }, createChunkBuffer());
  return { packed, bytes: readFileSync(destination), file: destination };
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const decompress = { zstd: unzstd, gzip: gunzipSync };
const layerTar = (paths: readonly StorePath[]) =>
  Buffer.concat([STORE_PARENTS, ...paths.map((path) => segmentOf(store, path)), END_OF_ARCHIVE]);

/** Unlike deepEqual, does not spend a minute on showing how megabytes differ. */
function assertSameBytes(actual: Buffer, expected: Buffer): void {
  expect(actual.equals(expected), `${actual.length} bytes differ from ${expected.length}`).toBe(
    true,
  );
}

function isThere(program: string): boolean {
  return spawnSync(program, ["--version"]).status === 0;
}

describe.for(FORMS)("a %s layer", (form) => {
  test("decompresses to the tar of its store paths and the end of archive", () => {
    for (const paths of [[small], [large], [exact], [small, exact, large], []]) {
      const { packed, bytes } = pack(paths, form);
      const { segments, ...archive } = packed;
      const tar = layerTar(paths);
      assertSameBytes(decompress[form](Buffer.from(bytes)), tar);
      expect(archive).toStrictEqual({
        digest: sha256(bytes),
        diffId: sha256(tar),
        sizeBytes: bytes.length,
        tarSizeBytes: tar.length,
      } satisfies Record<keyof PackedArchive, unknown>);
      expect(segments.map(({ storePath }) => storePath)).toStrictEqual(paths);
      for (const { storePath, offsetBytes, sizeBytes, tarSizeBytes } of segments) {
        const segment = bytes.subarray(offsetBytes, offsetBytes + sizeBytes);
        const segmentTar = segmentOf(store, storePath);
        assertSameBytes(decompress[form](Buffer.from(segment)), segmentTar);
        expect(tarSizeBytes).toBe(segmentTar.length);
      }
    }
  });

  test("is its segments one after the other, whatever their neighbours", () => {
    const segment = (path: StorePath) => compressSegment(segmentOf(store, path), form);
    const start = compressSegment(STORE_PARENTS, form);
    const end = compressSegment(END_OF_ARCHIVE, form);
    const joined = Buffer.concat([start, segment(large), segment(small), end]);
    assertSameBytes(pack([large, small], form).bytes, joined);
    assertSameBytes(pack([small], form).bytes, Buffer.concat([start, segment(small), end]));
  });

  test("joined from stored segments is the layer packed afresh", () => {
    const sources = [pack([large], form), pack([exact, small], form)];
    const stored = new Map(
      sources.flatMap(({ packed, file }) =>
        packed.segments.map((segment) => [
          segment.storePath,
          { storePath: segment.storePath, stored: { ...segment, file } },
        ]),
      ),
    );
    const recall = (path: StorePath) => stored.get(path) ?? path;
    const paths = [small, large, exact];
    const fresh = pack(paths, form);
    for (const tasks of [paths.map(recall), [small, recall(large), exact]]) {
      const joined = pack(tasks, form);
      assertSameBytes(joined.bytes, fresh.bytes);
      const isJoined = (at: number) => typeof tasks[at] === "object";
      const segments = fresh.packed.segments.map((segment, at) => ({
        ...segment,
        isJoined: isJoined(at),
      }));
      expect(joined.packed).toStrictEqual({ ...fresh.packed, segments });
    }
  });

  test("takes the bytes of a stored segment from where they are said to be", () => {
    // Another's bytes: a caller's fault that shows that nothing was compressed again.
    const { packed, file } = pack([exact], form);
    const other = packed.segments[0];
    assert(other !== undefined);
    const { digest, diffId } = pack(
      [{ storePath: small, stored: { ...other, file } }],
      form,
    ).packed;
    expect(digest).toBe(pack([exact], form).packed.digest);
    expect(diffId).toBe(pack([small], form).packed.diffId);
  });

  test("is packed afresh where a stored segment is not there, short, or something else", () => {
    const { packed, bytes, file } = pack([small, large], form);
    const fresh = pack([large], form);
    const segment = packed.segments[1];
    assert(segment !== undefined);
    const { offsetBytes, sizeBytes } = segment;
    const damaged = `${file}-damaged`;
    const lastByte = offsetBytes + sizeBytes - 1;
    writeFileSync(damaged, bytes.with(lastByte, ((bytes[lastByte] ?? 0) + 1) % 256));
    const wrong = [
      { file: damaged },
      { file: `${file}-gone` },
      { sizeBytes: bytes.length - offsetBytes + 1 },
      ...[0, -1, 2, Number.NaN].map((size) => ({ sizeBytes: size })),
      ...[-1, 1].map((by) => ({ offsetBytes: offsetBytes + by })),
      { crc32: segment.crc32 + 1 },
    ];
    for (const each of wrong) {
      const stored = { ...segment, file, ...each };
      const again = pack([{ storePath: large, stored }], form);
      assertSameBytes(again.bytes, fresh.bytes);
      expect(again.packed).toStrictEqual(fresh.packed);
    }
  });

  test("names no path twice, which podman and Docker refuse", async () => {
    const entries = await readTar(layerTar([small, exact, large]));
    const names = entries.map(({ name }) => name);
    expect(names).toStrictEqual([...new Set(names)]);
    expect(names.slice(0, 2)).toStrictEqual(["nix/", "nix/store/"]);
  });

  test("is read by the command-line tools", (context) => {
    if (!isThere(form)) {
      context.skip(`${form} is not installed`);
      return;
    }
    const { bytes } = pack([small, large], form);
    const options = { input: bytes, maxBuffer: 64 << 20 };
    assertSameBytes(execFileSync(form, ["-dc"], options), layerTar([small, large]));
    const unpacked = temporaryDirectory();
    execFileSync("tar", [`--${form}`, "-xpf", "-", "-C", unpacked], options);
    for (const path of [small, large]) {
      const base = storePathBase(path);
      expect(listTree(`${unpacked}/nix/store/${base}`)).toStrictEqual(
        listTree(`${store}/${base}`, "of-an-image"),
      );
    }
  });

  test("has the same bytes again, and from a copy whose files are hard links", () => {
    const copy = `${scratch}/copy-${form}`;
    mkdirSync(copy);
    const base = storePathBase(small);
    mkdirSync(`${copy}/${base}`);
    linkSync(`${store}/${base}/f`, `${copy}/${base}/f`);
    execFileSync("cp", ["-P", `${store}/${base}/l`, `${copy}/${base}/l`]);
    expect(pack([small], form, copy).packed).toStrictEqual(pack([small], form).packed);
    expect(pack([large], form).packed).toStrictEqual(pack([large], form).packed);
  });
});

describe("frames and members", () => {
  test("a zstd segment is a frame for each chunk, which says its content's size", () => {
    const { bytes } = pack([large], "zstd");
    const frames = splitFrames(bytes);
    expect(frames, "the start, three full chunks, the rest, and the end").toHaveLength(6);
    for (const frame of frames) {
      // RFC 8878, 3.1.1.1.1: without bits 7 to 5 a frame does not say its content's size.
      expect(frame.readUInt8(4) & 0b1110_0000).not.toBe(0);
    }
  });

  test("a gzip member's chunk refers back to the end of the one before", () => {
    const noise = text(30_000);
    for (const [at, byte] of noise.entries()) noise[at] = byte ^ ((at * at * 31) >> 3);
    const once = Buffer.concat([Buffer.alloc(CHUNK_SIZE_BYTES - noise.length), noise]);
    const sizeOf = (tar: Buffer) => compressSegment(tar, "gzip").length;
    expect(sizeOf(noise)).toBeGreaterThan(10_000);
    expect(sizeOf(Buffer.concat([once, noise])) - sizeOf(once)).toBeLessThan(1000);
  });

  test("a gzip and a zstd layer of the same paths share a diff id", () => {
    expect(pack([small, large], "gzip").packed.diffId).toBe(
      pack([small, large], "zstd").packed.diffId,
    );
  });
});

/** Packer ids this was run with, and the digest of a layer of the three fixture paths. */
const GOLDEN_LAYERS: Readonly<Record<string, string>> = {
  "3-zstd3-4m-1.5.7": "sha256:36ded4e6e0c57179b4e0a4936b4f62bfd542cc90ac7daff43c85a859de6503ec",
  "3-gzip2-4m-1.3.2.1-motley-8002e91-x64":
    "sha256:fdb6d26855c3ee84dc5c6b7b21bde782651d1e1b0ac4cd1ff1953a72d94229f7",
};

describe("golden layers", () => {
  test.for(FORMS)("of %s have the bytes that their packer id stands for", (form, context) => {
    const expected = GOLDEN_LAYERS[packerId(form)];
    if (expected === undefined) {
      context.skip(`no golden digest for ${packerId(form)} yet`);
      return;
    }
    expect(
      pack([small, large, exact], form).packed.digest,
      "One packer id has given two layers. Raise FORMAT_VERSION in " +
        "origin/layers/compression.ts, and put the new id and the actual digest here.",
    ).toBe(expected);
  });
});

describe("packerId", () => {
  test("names form, level, chunk size and the version of the compressor, fit for a key", () => {
    for (const form of FORMS) expect(packerId(form)).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,90}$/);
    expect(packerId("zstd")).toBe(`3-zstd3-4m-${process.versions.zstd}`);
    expect(packerId("gzip")).toBe(`3-gzip2-4m-${process.versions.zlib}-${process.arch}`);
  });
});

describe("a layer made in memory", () => {
  const link: ArchiveEntry = { kind: "link", path: "usr/bin/env", target: "/nix/store/x/bin/env" };

  test("has every directory on the way, whatever the order of its entries", async () => {
    const entries: readonly ArchiveEntry[] = [
      link,
      { kind: "file", path: "a/f", mode: 0o644, content: Buffer.from("text") },
      { kind: "directory", path: "a", mode: 0o1777 },
      { kind: "link", path: "a-b", target: "a" },
    ];
    const tar = archiveEntries(entries);
    expect(archiveEntries([...entries].reverse())).toStrictEqual(tar);
    const read = await readTar(tar);
    expect(
      read.map(({ name, mode, linkname }) =>
        `${name} ${mode?.toString(8)} ${linkname ?? ""}`.trim(),
      ),
    ).toStrictEqual([
      "a/ 1777",
      "a/f 644",
      "a-b 777 a",
      "usr/ 755",
      "usr/bin/ 755",
      "usr/bin/env 777 /nix/store/x/bin/env",
    ]);
  });

  test("refuses two entries of one path, and an entry below a link", () => {
    expect(() => archiveEntries([link, link])).toThrow(/is twice/);
    const below: ArchiveEntry = { kind: "link", path: "usr/bin/env/x", target: "y" };
    expect(() => archiveEntries([below, link])).toThrow(/lies below usr\/bin\/env/);
  });

  test.for(FORMS)("has the digests of its %s bytes", (form) => {
    const { bytes, ...packed } = packEntries([link], form);
    const tar = Buffer.concat([archiveEntries([link]), END_OF_ARCHIVE]);
    assertSameBytes(decompress[form](Buffer.from(bytes)), tar);
    expect(packed).toStrictEqual({
      digest: sha256(bytes),
      diffId: sha256(tar),
      sizeBytes: bytes.length,
      tarSizeBytes: tar.length,
    });
  });

  test("of the base has the diff id it always had", () => {
    expect(
      packEntries(BASE_ENTRIES, "zstd").diffId,
      "The base layer has changed, and with it every image. If that is meant, the " +
        "packing says so by itself: put the actual value here.",
    ).toBe("sha256:3bd6d0478f63d217b18fa64044772502f9d2dca13f62c7aaa9cf2d13bfe5419d");
  });
});

describe("memory", () => {
  const LIMIT_MIB = 250;

  for (const form of FORMS) {
    test(`packing a file of 300 MB as ${form} stays below ${LIMIT_MIB} MiB`, () => {
      const sparse = temporaryDirectory();
      const path = plant(sparse, storePath("sparse-1"), "");
      truncateSync(`${sparse}/${storePathBase(path)}`, 300_000_000);
      const program = join(import.meta.dirname, "pack-sparse.ts");
      const parameters = [program, sparse, path, form, `${scratch}/sparse`];
      const output = execFileSync(process.execPath, parameters, { timeout: 60_000 });
      const { tarSizeBytes, maxRssKiB } = JSON.parse(output.toString());
      expect(tarSizeBytes).toBeGreaterThan(300_000_000);
      expect(maxRssKiB, `${Math.round(maxRssKiB / 1024)} MiB`).toBeLessThan(LIMIT_MIB * 1024);
    });
  }
});

test("a failed packing leaves no descriptor open", () => {
  const missing = storePath("missing-1");
  const descriptors = () => (existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0);
  const before = descriptors();
  expect(() => pack([missing], "zstd")).toThrow(/ENOENT/);
  expect(descriptors()).toBe(before);
});
