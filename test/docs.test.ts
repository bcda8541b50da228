// What the pages say of the repository: their links lead somewhere, the variables are those that the
// code reads, and the scripts, files and folders that they name are there.

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readConfig } from "../origin/configuration/config.ts";
import type { FailureDetail } from "../origin/failures/failures.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** What a checkout holds besides what is the project's: installed, generated, or git's own. */
const NOT_OURS = new Set(["node_modules", ".git", ".nixport", ".wrangler", "dist"]);
const CONFIGURATION = "docs/configuration.md";

function filesOf(pattern: string): readonly string[] {
  return globSync(pattern, { cwd: ROOT, exclude: (name) => NOT_OURS.has(name) }).sort();
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

const PAGES = filesOf("**/*.md");

/** The text of a page without its blocks of code. */
function prose(path: string): string {
  return read(path).replace(/^```.*\n[\s\S]*?^```$/gm, "");
}

/** As the forges make them of a page's headings. */
function anchorsOf(path: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const anchors = [...prose(path).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading = ""]) => {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  });
  return new Set(anchors);
}

/** Those within the repository, each as path and anchor. */
function linksOf(path: string): readonly (readonly [target: string, anchor: string])[] {
  const text = prose(path).replace(/`[^`\n]*`/g, "code");
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [target = "", anchor = ""] = link.split("#");
    return [[target === "" ? path : normalize(join(dirname(path), target)), anchor] as const];
  });
}

describe("links", () => {
  test.for(PAGES)("of %s lead somewhere", (page) => {
    const broken = linksOf(page).filter(
      ([target, anchor]) =>
        !existsSync(join(ROOT, target)) || (anchor !== "" && !anchorsOf(target).has(anchor)),
    );
    expect(broken).toStrictEqual([]);
  });

  test("of the index lead to every page beside it", () => {
    const linked = new Set(linksOf("docs/README.md").map(([target]) => target));
    const pages = PAGES.filter((path) => path.startsWith("docs/") && path !== "docs/README.md");
    expect(pages.filter((path) => !linked.has(path))).toStrictEqual([]);
  });
});

interface Row {
  readonly section: string;
  readonly names: readonly string[];
  readonly byDefault: string;
}

function documentedRows(): readonly Row[] {
  const rows: Row[] = [];
  let section = "";
  for (const line of read(CONFIGURATION).split("\n")) {
    if (line.startsWith("## ")) section = line.slice(3);
    const [, first = "", byDefault = ""] = /^\| (`.*?) \| (.*?) \|/.exec(line) ?? [];
    const names = [...first.matchAll(/`([A-Z][A-Z0-9_]*)`/g)].map(([, name = ""]) => name);
    if (names.length > 0) rows.push({ section, names, byDefault: byDefault.replaceAll("`", "") });
  }
  return rows;
}

/**
 * What Nix gives to a builder, what a Worker is given besides its variables, and what commands tell
 * those that they start.
 */
const NOT_FOR_OPERATORS = new Set([
  ...["NIX_ATTRS_JSON_FILE", "NIX_BUILD_CORES"],
  ...["KV", "R2", "ASSETS", "MISS_LIMIT", "KEEP_LIMIT", "LOGIN_LIMIT", "NIXPORT_PARENT"],
]);

/** The names that the configuration asks for where nothing is set, which are all it knows. */
function configuredVariables(): readonly string[] {
  const asked = new Set<string>();
  const nothing: Readonly<Record<string, string | undefined>> = {};
  readConfig(new Proxy(nothing, { get: (_, name) => void asked.add(String(name)) }));
  return [...asked];
}

/** The names that occur where code reads variables, whatever it does with them. */
function variablesIn(path: string): readonly string[] {
  const text = read(path)
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|\s)\/\/.*$/gm, "");
  const reads = [
    /\benv\??\.([A-Z][A-Z0-9_]*)\b(?!\s*=[^=])/g,
    /\b(?:text|integer|url)\(\s*"([A-Z][A-Z0-9_]*)"/g,
  ];
  const named = reads.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([, name = ""]) => name),
  );
  const taken = [...text.matchAll(/\{([^{}]*)\}(?::\s*\w+)?\s*=\s*(?:process\.)?env\b/g)].flatMap(
    ([, names = ""]) => names.match(/\b[A-Z][A-Z0-9_]*\b/g) ?? [],
  );
  return [...named, ...taken];
}

function readVariables(): ReadonlySet<string> {
  const files = filesOf("{origin,edge}/**/*.{ts,mjs}");
  const names = [...configuredVariables(), ...files.flatMap(variablesIn)];
  return new Set(names.filter((name) => !NOT_FOR_OPERATORS.has(name)));
}

describe(CONFIGURATION, () => {
  const documented = new Set(documentedRows().flatMap(({ names }) => names));
  const known = readVariables();

  test("has every variable that the code reads", () => {
    expect(known.size, `${known.size} were found`).toBeGreaterThan(40);
    expect([...known].filter((name) => !documented.has(name)).sort()).toStrictEqual([]);
  });

  test("has none that nothing reads", () => {
    expect([...documented].filter((name) => !known.has(name)).sort()).toStrictEqual([]);
  });

  // The edge has defaults of its own, and how much may be built depends on the host's caches.
  const ofOrigin = documentedRows().filter(
    ({ section, names }) =>
      section !== "The edge" && !["NIXPORT_MAX_SOURCE_BUILDS", "EDGE_PORT"].includes(String(names)),
  );
  const source = { NIXERY_CHANNEL: "nixos-unstable" };
  test.for(ofOrigin.filter((row) => /^[\w.]+$/.test(row.byDefault)))(
    "tells the default of $names",
    ({ names, byDefault }) => {
      const said = Object.fromEntries(names.map((name) => [name, byDefault]));
      expect(readConfig({ ...source, ...said })).toStrictEqual(readConfig(source));
    },
  );
});

/** All that `detail` of an error may give as the reason: the compiler says where one is missing. */
const REASONS = {
  missing: true,
  ambiguous: true,
  "not-a-package": true,
  unfree: true,
  broken: true,
  insecure: true,
  unsupported: true,
  "evaluation-failed": true,
  "bad-image": true,
  "build-failed": true,
  "build-timed-out": true,
  unpackable: true,
  "unknown-tag": true,
  "several-images": true,
  "too-large": true,
  "too-many-layers": true,
  unreachable: true,
  "nix-too-old": true,
  "set-failed": true,
  "timed-out": true,
  building: true,
  busy: true,
  cancelled: true,
  "cache-failed": true,
  "source-unreachable": true,
  "host-failed": true,
  "not-in-caches": true,
} satisfies Readonly<Record<FailureDetail["reason"], true>>;

test("docs/errors.md has every reason for which there is no image, and no other", () => {
  const firsts = [...read("docs/errors.md").matchAll(/^\| (`.*?) \|/gm)].map(
    ([, cell = ""]) => cell,
  );
  const told = firsts.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name));
  expect(told.filter((name) => name !== "reason").sort()).toStrictEqual(
    Object.keys(REASONS).sort(),
  );
});

describe("what pages name", () => {
  test("are scripts that package.json has", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = PAGES.flatMap((page) =>
      [...read(page).matchAll(/\bnpm (?:run (?:--silent )?([a-z][\w:-]*)|(start|test)\b)/g)].map(
        ([, script, short]) => `${page}: ${script ?? short}`,
      ),
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((each) => !(each.replace(/.*: /, "") in scripts))).toStrictEqual([]);
  });

  // What changed once may be gone.
  test.for(PAGES.filter((path) => path !== "CHANGELOG.md"))(
    "are files and folders that there are: %s",
    (page) => {
      const paths = [
        ...prose(page).matchAll(/`((?:\.ci|docs|edge|nix|origin|page|registry|test)\/[\w./-]*)`/g),
      ];
      const absent = paths
        .map(([, path = ""]) => path)
        .filter((path) => !existsSync(join(ROOT, path)));
      expect(absent).toStrictEqual([]);
    },
  );

  test("are pages that there are, where the code sends people to them", () => {
    const files = filesOf("{origin,edge,page,registry,nix,test}/**/*.{ts,mjs,nix,sh}");
    const named = files.flatMap((file) => read(file).match(/\bdocs\/[\w-]+\.md\b/g) ?? []);
    expect(named).toContain("docs/hosts.md");
    expect([...new Set(named)].filter((page) => !PAGES.includes(page))).toStrictEqual([]);
  });

  test("are all folders of the product, on the map", () => {
    const map = read("ARCHITECTURE.md");
    const folders = ["registry", "page", "edge", "origin"].flatMap((folder) => [
      folder,
      ...filesOf(`${folder}/*/*.ts`).map(dirname),
    ]);
    expect(
      [...new Set(folders)].filter((folder) => !map.includes(`| \`${folder}/\` |`)),
    ).toStrictEqual([]);
  });
});
