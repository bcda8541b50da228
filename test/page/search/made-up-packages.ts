// As many packages to search as anybody has, with names and sentences of the lengths that nixpkgs has.

import type { PackageText } from "../../../registry/package-index/texts.ts";
import { createRandom, pick } from "../../hostile-text.ts";

const SYLLABLES = ["lib", "py", "go", "tra", "x", "qt", "net", "ser", "min", "ka", "zed", "or"];
const WORDS = "a the tool terminal library for and of fast simple client server git data".split(
  " ",
);

/** The same in every run. */
export function madeUpPackages(count: number): readonly PackageText[] {
  const random = createRandom(1);
  const some = (most: number, from: readonly string[], by: string) =>
    Array.from({ length: 1 + random.below(most) }, () => pick(random, from)).join(by);
  return Array.from({ length: count }, (_, at) => {
    const set = at % 3 === 0 ? "python3Packages." : "";
    const attribute = `${set}${some(4, SYLLABLES, "")}-${at.toString(36)}`;
    const description = some(12, WORDS, " ");
    return {
      attribute,
      description,
      program: at % 2 === 0 ? some(2, SYLLABLES, "-") : null,
      others: [],
    };
  });
}
