// What an edge keeps to answer pulls with by itself: pointers, manifests, the pins of tags. It says of each what
// it names and since when it is there; of which anybody has a use, pulls say.

import type { EdgeStore, EdgeValue } from "../../registry/between/stored-values.ts";
import type { Answers } from "./mark.ts";
import { isYoung, type Rules } from "./rules.ts";

/** What is one in R2 and in KV, of which one may be missing, or older. */
interface KeptAnswer {
  /** As R2 has it. */
  readonly key: string;
  readonly copies: { readonly store: EdgeStore; readonly value: Stored }[];
  readonly names: Set<string>;
  storedAtMs: number | null;
  isDamaged: boolean;
}

type Stored = Pick<EdgeValue, "key" | "sizeBytes">;

export interface EdgeAnswers {
  /** Whether it is one of these. */
  take(store: EdgeStore, value: EdgeValue): boolean;
  /** By what stays, all that it names. Needs all of them. */
  judge(rules: Rules, answers: Answers): JudgedAnswers;
}

export interface JudgedAnswers {
  readonly named: ReadonlySet<string>;
  /** What names before what is named; of each R2's, from which KV's would be filled again. */
  readonly unneeded: readonly { readonly store: EdgeStore; readonly value: Stored }[];
}

const POINTERS = "pointers/";
const MANIFESTS = "manifests/";
const TAGS = "tags/";

export function createEdgeAnswers(): EdgeAnswers {
  const kept = new Map<string, KeptAnswer>();
  // Many name the same layers.
  const texts = new Map<string, string>();
  const shared = (text: string) => {
    const known = texts.get(text) ?? text;
    texts.set(known, known);
    return known;
  };

  return {
    take(store, { key: own, copyOf, sizeBytes, storedAtMs, state, names }) {
      if (copyOf === undefined) return false;
      const key = store === "r2" ? own : copyOf;
      if (key === null || ![POINTERS, MANIFESTS, TAGS].some((each) => key.startsWith(each))) {
        return false;
      }
      const answer = kept.get(key) ?? newAnswer(key);
      kept.set(key, answer);
      answer.copies.push({ store, value: { key: own, sizeBytes } });
      answer.storedAtMs ??= storedAtMs;
      if (state !== "whole") answer.isDamaged = true;
      for (const each of names) answer.names.add(shared(each.key));
      return true;
    },
    judge(rules, answers) {
      const needed = new Set<string>();
      const named = new Set<string>();
      const need = (answer: KeptAnswer) => {
        if (needed.has(answer.key)) return;
        needed.add(answer.key);
        for (const name of answer.names) {
          named.add(name);
          const other = kept.get(name);
          if (other !== undefined) need(other);
        }
      };
      for (const answer of kept.values()) if (isNeeded(answer, rules, answers)) need(answer);
      const unneeded = [...kept.values()].filter(({ key }) => !needed.has(key));
      return { named, unneeded: inOrder(unneeded) };
    },
  };
}

function newAnswer(key: string): KeptAnswer {
  return { key, copies: [], names: new Set(), storedAtMs: null, isDamaged: false };
}

/** What is damaged is for a check to tell, and a repair to take away. */
function isNeeded(answer: KeptAnswer, rules: Rules, { manifests, tags }: Answers): boolean {
  const { key, names, storedAtMs, isDamaged } = answer;
  if (isDamaged || (storedAtMs !== null && isYoung(rules, storedAtMs))) return true;
  if (key.startsWith(TAGS)) return tags.has(key.slice(TAGS.length));
  const answered = key.startsWith(MANIFESTS) ? [key] : [...names];
  return answered.some((each) => manifests.has(`sha256:${each.slice(MANIFESTS.length)}`));
}

function inOrder(unneeded: readonly KeptAnswer[]): JudgedAnswers["unneeded"] {
  const step = ({ key, names }: KeptAnswer) => {
    if (key.startsWith(POINTERS)) return 0;
    return [...names].some((name) => name.startsWith(MANIFESTS)) ? 1 : 2;
  };
  const sorted = unneeded.toSorted((a, b) => step(a) - step(b));
  return [0, 1, 2].flatMap((each) => {
    const copies = sorted.filter((answer) => step(answer) === each).flatMap(({ copies }) => copies);
    const of = (store: EdgeStore) => copies.filter((copy) => copy.store === store);
    return [...of("r2"), ...of("kv")];
  });
}
