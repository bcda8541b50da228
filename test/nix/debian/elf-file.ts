// Small ELF files for tests, made and read: 64-bit, little-endian, with just what the loader goes by.

const HEADER_BYTES = 56;
const TYPE = { load: 1, dynamic: 2, interpreter: 3, note: 4 } as const;
const TAG = { end: 0, needed: 1, strings: 5, stringsSize: 10, rpath: 15, runpath: 29 } as const;

export interface ElfHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
  readonly memory: number;
}

export interface ElfFile {
  readonly machine: number;
  readonly interpreter: string | undefined;
  readonly needed: readonly string[];
  readonly rpath: string | undefined;
  readonly runpath: string | undefined;
  readonly headers: readonly ElfHeader[];
  readonly loads: readonly ElfHeader[];
}

export function readElf(bytes: Buffer): ElfFile {
  const number = (at: number): number => Number(bytes.readBigUInt64LE(at));
  const text = (at: number): string => bytes.toString("utf8", at, bytes.indexOf(0, at));
  const headers = Array.from({ length: bytes.readUInt16LE(56) }, (_, index): ElfHeader => {
    const at = number(32) + HEADER_BYTES * index;
    return {
      type: bytes.readUInt32LE(at),
      flags: bytes.readUInt32LE(at + 4),
      offset: number(at + 8),
      address: number(at + 16),
      size: number(at + 32),
      memory: number(at + 40),
    };
  });
  const loads = headers.filter(({ type }) => type === TYPE.load);
  const dynamic = headers.find(({ type }) => type === TYPE.dynamic);
  const entries = Array.from({ length: (dynamic?.size ?? 0) / 16 }, (_, index) => {
    const at = (dynamic?.offset ?? 0) + 16 * index;
    return { tag: number(at), value: number(at + 8) };
  });
  // Behind the first end there is nothing, whatever stands there.
  const end = entries.findIndex(({ tag }) => tag === TAG.end);
  const used = end === -1 ? entries : entries.slice(0, end);
  const strings = used.find(({ tag }) => tag === TAG.strings)?.value ?? 0;
  const load = loads.find((one) => strings >= one.address && strings < one.address + one.size);
  const stringsAt = strings - (load?.address ?? 0) + (load?.offset ?? 0);
  const texts = (wanted: number) =>
    used.filter(({ tag }) => tag === wanted).map(({ value }) => text(stringsAt + value));
  const interpreter = headers.find(({ type }) => type === TYPE.interpreter);
  return {
    machine: bytes.readUInt16LE(18),
    interpreter: interpreter && text(interpreter.offset),
    needed: texts(TAG.needed),
    rpath: texts(TAG.rpath)[0],
    runpath: texts(TAG.runpath)[0],
    headers,
    loads,
  };
}

export interface ElfShape {
  readonly needed: readonly string[];
  readonly interpreter?: string;
  readonly runpath?: string;
  readonly notes?: number;
  // Entries of the dynamic section that the linker left unused, the end among them.
  readonly spareEntries?: number;
  // Fixed addresses, as a program without PIE has them.
  readonly base?: number;
}

// One segment with everything in it and, above it, one with more room in memory than in the file.
export function makeElf(shape: ElfShape): Buffer {
  const { needed, interpreter, runpath, notes = 1, spareEntries = 3, base = 0 } = shape;
  const strings = Buffer.from(`\0${[...needed, runpath].filter((each) => each).join("\0")}\0`);
  const entries: [number, number][] = needed.map((name) => [TAG.needed, strings.indexOf(name)]);
  if (runpath !== undefined) entries.push([TAG.runpath, strings.indexOf(runpath)]);
  const count = 3 + notes + (interpreter === undefined ? 0 : 1);
  const headersEnd = 64 + HEADER_BYTES * count;
  const name = Buffer.from(interpreter === undefined ? "" : `${interpreter}\0`);
  const stringsAt = headersEnd + name.length;
  const dynamicAt = Math.ceil((stringsAt + strings.length) / 16) * 16;
  entries.push([TAG.strings, base + stringsAt], [TAG.stringsSize, strings.length]);
  for (let index = 0; index < spareEntries; index += 1) entries.push([TAG.end, 0]);
  const end = dynamicAt + 16 * entries.length;

  const bytes = Buffer.alloc(end + 8);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(base === 0 ? 3 : 2, 16);
  bytes.writeUInt16LE(62, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(HEADER_BYTES, 54);
  bytes.writeUInt16LE(count, 56);
  const header = (index: number, type: number, flags: number, at: number, ...rest: number[]) => {
    const [size = 0, memory = size, address = base + at] = rest;
    const to = 64 + HEADER_BYTES * index;
    bytes.writeUInt32LE(type, to);
    bytes.writeUInt32LE(flags, to + 4);
    [at, address, address, size, memory, 4096].forEach((value, field) => {
      bytes.writeBigUInt64LE(BigInt(value), to + 8 + 8 * field);
    });
  };
  let index = 0;
  if (interpreter !== undefined) header(index++, TYPE.interpreter, 4, headersEnd, name.length);
  header(index++, TYPE.load, 4, 0, end);
  header(index++, TYPE.load, 6, end, 8, 0x9000, base + 0x3000 + end);
  header(index++, TYPE.dynamic, 6, dynamicAt, 16 * entries.length);
  for (let note = 0; note < notes; note += 1) header(index++, TYPE.note, 4, 64, 32);
  bytes.set(name, headersEnd);
  bytes.set(strings, stringsAt);
  entries.forEach(([tag, value], at) => {
    bytes.writeBigUInt64LE(BigInt(tag), dynamicAt + 16 * at);
    bytes.writeBigUInt64LE(BigInt(value), dynamicAt + 16 * at + 8);
  });
  return bytes;
}
