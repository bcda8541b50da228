// The worker that holds an index and searches it, so that typing never waits for either.

import { readNames } from "../../registry/package-index/names.ts";
import { readTexts } from "../../registry/package-index/texts.ts";
import { type Corpus, makeCorpus } from "../search/corpus.ts";
import type { Asked, Told } from "../search/messages.ts";
import { search } from "../search/search.ts";

const SHOWN = 30;
/** What takes every way through the search: so the engine has compiled it before anybody waits for it. */
const WARMING = ["a", "e", "lib", "the tool", "zz"];

let corpus: Corpus | undefined;
let asked: string | undefined;

addEventListener("message", ({ data }: MessageEvent<Asked>) => {
  if (data.kind === "load") {
    void load(data);
    return;
  }
  // What was typed meanwhile is here before the turn that answers it.
  if (asked === undefined) setTimeout(answer);
  asked = data.query;
});

function answer(): void {
  const query = asked;
  asked = undefined;
  if (query === undefined || corpus === undefined) return;
  tell({ kind: "found", query, ...search(corpus, query, SHOWN) });
}

async function load(addresses: { readonly names: string; readonly texts: string }): Promise<void> {
  try {
    const [names, texts] = await Promise.all([fetched(addresses.names), fetched(addresses.texts)]);
    const read = corpusOf(names, texts);
    for (const query of WARMING) search(read, query, SHOWN);
    corpus = read;
    tell({ kind: "ready", count: corpus.count });
  } catch {
    tell({ kind: "failed" });
  }
}

function corpusOf(names: Uint8Array, texts: Uint8Array): Corpus {
  const [readable, described] = [readNames(names), readTexts(texts)];
  if (readable === undefined || described === undefined) {
    throw new Error("the index is of another format");
  }
  return makeCorpus(readable, described);
}

async function fetched(address: string): Promise<Uint8Array> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} is ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

function tell(message: Told): void {
  postMessage(message);
}
