// What is searched: the packages of an index, laid out so that one look at each tells how well it matches.

import { attributePath, exactSpelling } from "../../registry/naming/attribute.ts";
import { foldAttribute, foldPath } from "../../registry/package-index/fold.ts";
import { attributesIn } from "../../registry/package-index/names.ts";
import { packageText, textLines } from "../../registry/package-index/texts.ts";

/** A package, as a person chooses it. */
export interface FoundPackage {
  /** As the set has it. */
  readonly attribute: string;
  /** As an image's name has it. */
  readonly name: string;
  readonly program: string | null;
  readonly description: string | null;
}

/** An array for each thing that is looked at, all in one order and in small letters. */
export interface Corpus {
  readonly count: number;
  /** A line of the texts, as it is. */
  readonly lines: readonly string[];
  /** The same in small letters: what holds no word of a query is passed over at once. */
  readonly folded: readonly string[];
  readonly attributes: readonly string[];
  /** Less of a plainer name: one less deep in sets, then a shorter one. */
  readonly weights: Uint32Array;
  /** Behind the last dot of the attribute. */
  readonly names: readonly string[];
  readonly programs: readonly string[];
  readonly others: readonly (readonly string[])[];
  /** How many attributes of the set are spelled like this one. */
  readonly spellings: ReadonlyMap<string, number>;
}

const NONE: readonly string[] = [];

/** `names` and `texts` as `readNames` and `readTexts` gave them. */
export function makeCorpus(names: string, texts: string): Corpus {
  const lines = textLines(texts);
  const attributes: string[] = [];
  const own: string[] = [];
  const programs: string[] = [];
  const others: (readonly string[])[] = [];
  for (const line of lines) {
    const { attribute, program, others: also } = packageText(line);
    const folded = attribute.toLowerCase();
    attributes.push(folded);
    own.push(lastPart(folded));
    programs.push(program?.toLowerCase() ?? "");
    others.push(also.length === 0 ? NONE : also.map((each) => each.toLowerCase()));
  }
  const spellings = new Map<string, number>();
  for (const attribute of attributesIn(names)) {
    const fold = foldAttribute(attribute);
    spellings.set(fold, (spellings.get(fold) ?? 0) + 1);
  }
  const folded = lines.map((line) => line.toLowerCase());
  const weights = Uint32Array.from(attributes, weightOf);
  return {
    ...{ count: lines.length, lines, folded, attributes, weights },
    ...{ names: own, programs, others, spellings },
  };
}

function weightOf(attribute: string): number {
  return (attribute.split(".").length << 16) + attribute.length;
}

function lastPart(attribute: string): string {
  return attribute.slice(attribute.lastIndexOf(".") + 1);
}

export function packageAt(corpus: Corpus, place: number): FoundPackage {
  const { attribute, program, description } = packageText(corpus.lines[place] ?? "");
  return { attribute, name: imageName(corpus, attribute), program, description };
}

/** In small letters where they mean no other attribute; else exactly, as only an escape can say it. */
export function imageName({ spellings }: Pick<Corpus, "spellings">, attribute: string): string {
  const path = attributePath(attribute);
  const isOnly = (spellings.get(foldPath(path)) ?? 0) <= 1;
  const spelled = path.map((part) => {
    const exact = exactSpelling(part) ?? part;
    const plain = part.toLowerCase().replace(/^_(?=[0-9])/, "");
    return isOnly && exactSpelling(plain) === plain ? plain : exact;
  });
  return spelled.join(".");
}
