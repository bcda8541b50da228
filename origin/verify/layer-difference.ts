// Where two layers that ought to be one first differ: both are read side by side, entry by entry, so
// that nothing of them is kept.

import { Readable } from "node:stream";
import { extract, type Header } from "tar-stream";

/** In words, of the first entry that differs. Throws where one of them is no archive. */
export async function layerDifference(
  registry: AsyncIterable<Uint8Array>,
  here: AsyncIterable<Uint8Array>,
): Promise<string> {
  const [theirs, ours] = [entriesOf(registry), entriesOf(here)];
  try {
    for (;;) {
      const [their, our] = await Promise.all([nextOf(theirs), nextOf(ours)]);
      if (their === undefined || our === undefined) return endDifference(their, our);
      const [a, b] = [their.header, our.header];
      if (a.name !== b.name)
        return `the registry has ${pathOf(a)} where there is ${pathOf(b)} here`;
      const field = headerDifference(a, b);
      if (field !== undefined) return `${pathOf(a)}: ${field}`;
      const offset = await contentDifference(their, our);
      if (offset !== undefined) return `${pathOf(a)} differs from its byte ${offset} on`;
    }
  } finally {
    await Promise.all([theirs.return?.(), ours.return?.()]);
  }
}

function endDifference(registry: Entry | undefined, here: Entry | undefined): string {
  if (registry !== undefined) return `${pathOf(registry.header)} is only in the registry`;
  if (here !== undefined) return `${pathOf(here.header)} is only here`;
  return "the same files, archived otherwise";
}

type Entry = AsyncIterable<Uint8Array> & { readonly header: Header };

async function nextOf(entries: AsyncIterator<Entry>): Promise<Entry | undefined> {
  const { done, value } = await entries.next();
  return done ? undefined : value;
}

function entriesOf(tar: AsyncIterable<Uint8Array>): AsyncIterator<Entry> {
  const entries = extract();
  const source = Readable.from(tar);
  source.on("error", (error) => entries.destroy(error));
  source.pipe(entries as unknown as NodeJS.WritableStream);
  return entries[Symbol.asyncIterator]() as AsyncIterator<Entry>;
}

function pathOf({ name }: Header): string {
  return `/${name.replace(/^\.?\//, "")}`;
}

const FIELDS: readonly (readonly [said: string, of: (header: Header) => unknown])[] = [
  ["type", ({ type }) => type],
  ["mode", ({ mode }) => mode.toString(8)],
  ["owner", ({ uid, gid }) => `${uid}:${gid}`],
  ["owner's names", ({ uname, gname }) => `${uname}:${gname}`],
  ["time", ({ mtime }) => mtime.getTime() / 1000],
  ["target", ({ linkname }) => linkname],
  ["size", ({ size }) => size],
  ["further fields", ({ pax }) => JSON.stringify(pax ?? null)],
];

function headerDifference(registry: Header, here: Header): string | undefined {
  for (const [said, of] of FIELDS) {
    const [theirs, ours] = [of(registry), of(here)];
    if (theirs !== ours) return `${said} ${theirs} in the registry, ${ours} here`;
  }
  return undefined;
}

/** Of contents of one size; both are read to their ends, as the archives must be. */
async function contentDifference(registry: Entry, here: Entry): Promise<number | undefined> {
  const ours = here[Symbol.asyncIterator]();
  let held: Uint8Array = new Uint8Array();
  let offset = 0;
  let found: number | undefined;
  for await (const theirs of registry) {
    for (let at = 0; at < theirs.length; ) {
      if (held.length === 0) {
        const next = await ours.next();
        if (next.done) return found ?? offset;
        held = next.value;
      }
      const length = Math.min(theirs.length - at, held.length);
      const [a, b] = [theirs.subarray(at, at + length), held.subarray(0, length)];
      if (found === undefined && Buffer.compare(a, b) !== 0) {
        found = offset + a.findIndex((byte, place) => byte !== b[place]);
      }
      held = held.subarray(length);
      offset += length;
      at += length;
    }
  }
  while (!(await ours.next()).done);
  return found;
}
