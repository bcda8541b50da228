// Text that tries things, the same in every run: what a client may send where a name, a tag or a path
// belongs.

import { createRandom, type Random } from "./bench/graph/random.ts";

export { createRandom, type Random };

/** Whole things that have broken somebody's registry, shell or evaluator. */
const ATTACKS: readonly string[] = [
  ...["../../etc/passwd", "..", ".", "...", "./git", "git/..", "%2e%2e", "%2e%2e%2f", "..%2f..%2f"],
  ...["%00", "%0a", "%0d%0aX-Evil:%201", "%", "%zz", "%c0%ae%c0%ae", "%ff", "%25", "%2f", "%5c"],
  ...[
    "$(id)",
    "`id`",
    "; rm -rf /",
    "| cat",
    "&& id",
    "> /tmp/x",
    "*",
    "?",
    "~",
    "!!",
    "#",
    "\\",
    "'",
  ],
  ...['"', '"; abort', "''", `''\${1}`, `\${1}`, `\${builtins.exec [ "id" ]}`, "@x@", "$$", "${"],
  ...[`\${builtins.toFile "x" "y"}`, "import /etc/passwd", "builtins.readFile /etc/shadow"],
  ...[
    "--option",
    "-I",
    "-I/etc",
    "--arg",
    "-A",
    "--",
    "-",
    "<nixpkgs>",
    "rec",
    "with",
    "__proto__",
  ],
  ...["constructor", "__functor", "toString", "hasOwnProperty", "manifests", "blobs", "tags", "v2"],
  ...[
    "shell",
    "arm64",
    "fhs",
    "unix",
    "nonroot",
    "cacert",
    "iana-etc",
    "git",
    "htop",
    "a.b",
    "python3packages.numpy",
    "7zz",
  ],
  ...["\0", "\n", "\r\n", "\t", "\u001b[2J", "\u0007", "\u202e", "\ufeff", "\ud800", "\udfff"],
  ...["é", "ß", "İ", "ﬁ", "🎁", "日本", "ａ", "a\u0301", "K", "\u2028", "\u00a0", "\u200b"],
  ...[
    "sha256:",
    `sha256:${"0".repeat(64)}`,
    `sha256:${"A".repeat(64)}`,
    `sha512:${"0".repeat(128)}`,
  ],
  ...["a".repeat(255), "a".repeat(256), "a/".repeat(200), "-".repeat(300), "a__b", "a___b", "a--b"],
];

const LETTERS =
  "abcdefghijklmnopqrstuvwxyz0123456789ABCXYZ._-/:@+%~ $" + "{}()'\"`\\;|&<>*?!#=,\0\n\r\té日🎁";

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

/** A word as names are made of, mostly. */
export function plainWord(random: Random): string {
  const letter = () => pick(random, [..."abcdefghijklmnopqrstuvwxyz0123456789"]);
  const run = () => Array.from({ length: 1 + random.below(8) }, letter).join("");
  const joint = () => pick(random, [".", "_", "__", "-", "--", "-"]);
  return Array.from({ length: 1 + random.below(3) }, run).reduce((a, b) => a + joint() + b);
}

/** Letters of all kinds, an attack, an attack inside of a word, or now and then a harmless word. */
export function hostileText(random: Random): string {
  switch (random.below(5)) {
    case 0:
      return Array.from({ length: random.below(40) }, () => pick(random, [...LETTERS])).join("");
    case 1:
      return pick(random, ATTACKS);
    case 2:
      return plainWord(random) + pick(random, ATTACKS) + plainWord(random);
    case 3:
      return pick(random, ATTACKS) + pick(random, ATTACKS);
    default:
      return plainWord(random);
  }
}
