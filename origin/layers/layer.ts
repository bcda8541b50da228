// The bytes of a layer: the parents of the store, the segments of its store paths in the order
// given, a view where it holds one, the end of the archive; each compressed by itself, and both
// digests taken on the way. A
// segment's bytes never depend on its neighbours, so stored segments can be joined to other layers
// as they are.
//
// The parents come once, before all segments: podman and Docker refuse a layer that names a path
// twice, even a directory ("duplicates of file paths not supported", tar-split; podman 4.3).

import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Form, LayerRecord } from "../../registry/image/record.ts";
import { toDigest } from "../../registry/naming/digest.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import {
  BLOCK_SIZE_BYTES,
  type ChunkBuffer,
  createChunkBuffer,
  createChunkWriter,
} from "./chunk-writer.ts";
import {
  type ChunkCompressor,
  compressSegment,
  createChunkCompressor,
  createSegmentCompressor,
} from "./compression.ts";
import { createSharedCompressor, type SharedChunks } from "./shared-chunks.ts";
import { isIntact, readStoredSegment, type StoredSegment } from "./stored-segment.ts";
import { writeStoreParents, writeStorePath } from "./tar.ts";

/** The first segment of every layer of store paths. */
export const STORE_PARENTS: Uint8Array = storeParents();
/** The last segment of every layer: two zero blocks. */
export const END_OF_ARCHIVE: Uint8Array = new Uint8Array(2 * BLOCK_SIZE_BYTES);

export interface PackedArchive extends LayerRecord {
  readonly tarSizeBytes: number;
}

/** Where the compressed bytes of a store path lie in the layer just written. */
export interface PackedSegment {
  readonly storePath: StorePath;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly tarSizeBytes: number;
  /** Of its compressed bytes. */
  readonly crc32: number;
  /** Taken over from where it was stored. */
  readonly isJoined: boolean;
}

export interface PackedLayer extends PackedArchive {
  /** In the order asked for. */
  readonly segments: readonly PackedSegment[];
}

export interface SegmentTask {
  readonly storePath: StorePath;
  /**
   * Its compressed bytes, where a layer of the same form and packer id has them. Where they are
   * damaged by now, the path is packed again.
   */
  readonly stored?: StoredSegment;
}

export interface LayerTask {
  readonly segments: readonly SegmentTask[];
  /** The tar entries of a view that the layer holds, behind its segments. */
  readonly viewTar?: Uint8Array | undefined;
  readonly form: Form;
  /** The file to write: created, or emptied if there. What becomes of it later is the caller's. */
  readonly destination: string;
  /** Where the store's objects really are. */
  readonly storeDirectory: string;
}

export interface PackLayerOptions {
  /** Called with every chunk; it may throw. */
  readonly checkpoint?: () => void;
  /** Where other threads find chunks to compress. */
  readonly shared?: SharedChunks | undefined;
}

/** Packs a layer into a file. To make it durable is the storage's: no thread waits for a disk. */
export function packLayer(
  task: LayerTask,
  buffer: ChunkBuffer,
  { checkpoint = () => {}, shared }: PackLayerOptions = {},
): PackedLayer {
  const file = openSync(task.destination, "w");
  try {
    const output = createOutput((bytes) => writeWhole(file, bytes));
    let sum = 0;
    const emit = (bytes: Uint8Array) => {
      sum = crc32(bytes, sum);
      output.addCompressed(bytes);
    };
    const compressor =
      shared === undefined
        ? createChunkCompressor(task.form, emit)
        : createSharedCompressor(shared, task.form, emit);
    const target: SegmentTarget = { addTar: output.addTar, emit, compressor };
    output.addTar(STORE_PARENTS);
    output.addCompressed(compressSegment(STORE_PARENTS, task.form));
    const segments = task.segments.map((segment) => {
      const before = output.written();
      sum = 0;
      const isJoined = addSegment(target, segment, task, buffer, checkpoint);
      const after = output.written();
      return {
        storePath: segment.storePath,
        offsetBytes: before.sizeBytes,
        sizeBytes: after.sizeBytes - before.sizeBytes,
        tarSizeBytes: after.tarSizeBytes - before.tarSizeBytes,
        crc32: sum,
        isJoined,
      };
    });
    if (task.viewTar !== undefined) {
      output.addTar(task.viewTar);
      output.addCompressed(compressSegment(task.viewTar, task.form));
    }
    const archive = output.finish(task.form);
    return { ...archive, segments };
  } finally {
    closeSync(file);
  }
}

/** Where the bytes of segments go. */
interface SegmentTarget {
  readonly addTar: (bytes: Uint8Array) => void;
  readonly emit: (bytes: Uint8Array) => void;
  /** Emits to `emit`, too. */
  readonly compressor: ChunkCompressor;
}

/**
 * A stored segment is only joined; its tar bytes are needed for the diff id all the same. Says
 * whether it was.
 */
function addSegment(
  { addTar, emit, compressor }: SegmentTarget,
  { storePath, stored }: SegmentTask,
  { form, storeDirectory }: LayerTask,
  buffer: ChunkBuffer,
  checkpoint: () => void,
): boolean {
  const isJoined = stored !== undefined && isIntact(stored, buffer);
  if (isJoined) {
    readStoredSegment(stored, buffer, (bytes) => {
      checkpoint();
      emit(bytes);
    });
  }
  const segment = isJoined ? undefined : createSegmentCompressor(form, compressor, emit);
  const chunks = createChunkWriter(buffer, (chunk) => {
    checkpoint();
    addTar(chunk);
    segment?.compress(chunk);
  });
  writeStorePath(chunks, storePath, storeDirectory);
  chunks.flush();
  segment?.end();
  return isJoined;
}

export interface LayerOutput {
  addTar(bytes: Uint8Array): void;
  addCompressed(bytes: Uint8Array): void;
  /** How much there is so far. */
  written(): { readonly sizeBytes: number; readonly tarSizeBytes: number };
  /** Adds the end of the archive. */
  finish(form: Form): PackedArchive;
}

/** Hashes and counts both faces of a layer while its compressed bytes are passed on. */
export function createOutput(write: (bytes: Uint8Array) => void): LayerOutput {
  const tarHash = createHash("sha256");
  const layerHash = createHash("sha256");
  let tarSizeBytes = 0;
  let sizeBytes = 0;
  const addTar = (bytes: Uint8Array) => {
    tarHash.update(bytes);
    tarSizeBytes += bytes.length;
  };
  const addCompressed = (bytes: Uint8Array) => {
    layerHash.update(bytes);
    sizeBytes += bytes.length;
    write(bytes);
  };
  return {
    addTar,
    addCompressed,
    written: () => ({ sizeBytes, tarSizeBytes }),
    finish: (form) => {
      addTar(END_OF_ARCHIVE);
      addCompressed(compressSegment(END_OF_ARCHIVE, form));
      return {
        digest: toDigest(new Uint8Array(layerHash.digest()).buffer),
        diffId: toDigest(new Uint8Array(tarHash.digest()).buffer),
        sizeBytes,
        tarSizeBytes,
      };
    },
  };
}

/** `write` may take less than it is given, for one when a disk is almost full. */
function writeWhole(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

function storeParents(): Uint8Array {
  const out = createChunkWriter(createChunkBuffer(), () => {});
  writeStoreParents(out);
  return Uint8Array.from(out.buffer.subarray(0, out.free().offset));
}
