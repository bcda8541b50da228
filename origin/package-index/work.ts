// Which attributes of a set are still to be told, in which order, and how many at once: pure.

import { attributeName } from "../../registry/naming/attribute.ts";
import { canBeNamed } from "../../registry/package-index/fold.ts";
import type { AttributeGroup, AttributePlace } from "../nix/look-up-slice.ts";
import type { ToldSlice } from "./slice.ts";

/** Of one set; nixpkgs has some 30,000, its largest set of a language some 20,000. */
export const MOST_NAMES = 100_000;
/** Of all sets together. */
const MOST_ATTRIBUTES = 300_000;

export interface IndexWork {
  /** Undefined until it is known which attributes the whole set has. */
  readonly isListed: boolean;
  readonly done: number;
  /** As far as it is known by now. */
  readonly total: number;
  /** Nobody was told why. */
  readonly failed: readonly (readonly string[])[];
  /** Sets of which not all attributes are told. */
  readonly left: readonly string[];
  learn(told: ToldSlice): void;
  /** Undefined where nothing is left. */
  next(most: number): readonly AttributeGroup[] | undefined;
  putBack(...groups: readonly AttributeGroup[]): void;
}

export function openWork(limits = { attributes: MOST_ATTRIBUTES }): IndexWork {
  const wanted = new Set<string>();
  const done = new Set<string>();
  const sets = new Set<string>();
  const failed = new Map<string, readonly string[]>();
  const left: string[] = [];
  let queue: AttributeGroup[] = [];
  let isListed = false;

  function want(set: readonly string[], names: readonly string[]): void {
    const attribute = attributeName(set);
    if (sets.has(attribute)) return;
    const nameable = names.filter((name) => canBeNamed([...set, name]));
    if (wanted.size + nameable.length > limits.attributes) {
      left.push(attribute);
      return;
    }
    sets.add(attribute);
    for (const name of nameable) wanted.add(attributeName([...set, name]));
    queue.push({ set, names: nameable });
  }

  /** What is told already, by a run before this one, is left out. */
  function open({ set, names }: AttributeGroup): AttributeGroup {
    return { set, names: names.filter((name) => !done.has(attributeName([...set, name]))) };
  }

  return {
    get isListed() {
      return isListed;
    },
    get done() {
      return done.size;
    },
    get total() {
      return wanted.size;
    },
    get failed() {
      return [...failed.values()];
    },
    left,
    learn(told) {
      if (told.top.length > 0) {
        isListed = true;
        want([], told.top);
      }
      for (const attribute of told.attributes) {
        done.add(attribute);
        failed.delete(attribute);
      }
      for (const path of told.failed) failed.set(attributeName(path), path);
      for (const { path, names } of told.sets) want(path, names);
    },
    next(most) {
      const taken: AttributeGroup[] = [];
      let count = 0;
      while (count < most) {
        const first = queue.shift();
        if (first === undefined) break;
        const { set, names } = open(first);
        const now = names.slice(0, most - count);
        if (now.length < names.length) queue.unshift({ set, names: names.slice(now.length) });
        if (now.length > 0) taken.push({ set, names: now });
        count += now.length;
      }
      return taken.length === 0 ? undefined : taken;
    },
    putBack(...groups) {
      queue = [...groups.filter(({ names }) => names.length > 0), ...queue];
    },
  };
}

export function countOf(groups: readonly AttributeGroup[]): number {
  return groups.reduce((sum, { names }) => sum + names.length, 0);
}

/** Before an attribute, the attribute alone, and after it; undefined for a place that there is not. */
export function aroundPlace(
  groups: readonly AttributeGroup[],
  place: AttributePlace | undefined,
): { readonly [Part in "before" | "alone" | "after"]: readonly AttributeGroup[] } | undefined {
  if (place === undefined) return undefined;
  const { group, name } = place;
  if ((groups[group]?.names.length ?? 0) <= name) return undefined;
  const at = countOf(groups.slice(0, group)) + name;
  return {
    before: part(groups, 0, at),
    alone: part(groups, at, at + 1),
    after: part(groups, at + 1, countOf(groups)),
  };
}

function part(groups: readonly AttributeGroup[], from: number, to: number) {
  let start = 0;
  return groups.flatMap(({ set, names }): AttributeGroup[] => {
    const own = names.slice(Math.max(0, from - start), Math.max(0, to - start));
    start += names.length;
    return own.length === 0 ? [] : [{ set, names: own }];
  });
}
