// What the compiler cannot check of the house's order: who imports what, who starts processes, who
// reads the environment, who splits paths, how files begin and what they are called.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  circlesOf,
  filesBelow,
  graphOf,
  importsOf,
  isScript,
  PRODUCT,
  read,
  roomsOf,
  withoutComments,
} from "./import-graph.ts";

const ALL = filesBelow("");
const scriptsOf = (folder: string) =>
  ALL.filter((path) => path.startsWith(`${folder}/`) && isScript(path));

type Allowed = (specifier: string, path: string) => boolean;

const below =
  (...folders: readonly string[]): Allowed =>
  (specifier) =>
    folders.some((folder) => specifier.startsWith(`${folder}/`));
const packages =
  (...names: readonly string[]): Allowed =>
  (specifier) =>
    names.some((name) => specifier === name || specifier.startsWith(`${name}/`));
const isPackage: Allowed = (specifier) =>
  !["registry", "page", "edge", "origin", "nix", "test"].some((folder) =>
    specifier.startsWith(`${folder}/`),
  ) &&
  !specifier.startsWith("..") &&
  !specifier.startsWith("cloudflare:");

describe("imports", () => {
  const rules: readonly [folder: string, words: string, allowed: readonly Allowed[]][] = [
    ["registry", "itself, jose and valibot", [below("registry"), packages("jose", "valibot")]],
    [
      "page",
      "itself and registry, and its build esbuild",
      [
        below("page", "registry"),
        (specifier, path) => isPackage(specifier, path) && path === "page/build.ts",
      ],
    ],
    [
      "edge",
      "itself, registry, pages, jose, valibot and its runtime",
      [
        below("edge", "registry", "page/html", "page/recipe"),
        packages("jose", "valibot"),
        (specifier) => specifier.startsWith("cloudflare:"),
      ],
    ],
    [
      "origin",
      "itself, registry, pages, packages, and from its commands the pages' build and the Debian set",
      [
        below("origin", "registry", "page/html", "page/recipe"),
        (specifier, path) => specifier === "page/build.ts" && path.startsWith("origin/command/"),
        isPackage,
        (specifier, path) =>
          specifier.startsWith("nix/debian/") && path.startsWith("origin/command/"),
      ],
    ],
    [
      "nix",
      "itself, registry and packages",
      [below("nix", "registry", "origin/layers"), isPackage],
    ],
  ];
  test.for(rules)("of %s/ name only %s", ([folder, , allowed]) => {
    const foreign = scriptsOf(folder).flatMap((path) =>
      importsOf(path)
        .filter((specifier) => !allowed.some((allows) => allows(specifier, path)))
        .map((specifier) => `${path} imports ${specifier}`),
    );
    expect(foreign).toStrictEqual([]);
  });

  test.for([
    ["files", graphOf(PRODUCT)],
    ["rooms", roomsOf(graphOf(PRODUCT))],
  ] as const)("of %s make no circle", ([, graph]) => {
    expect(circlesOf(graph)).toStrictEqual([]);
  });

  test("of rooms go up the map", () => {
    const graph = roomsOf(graphOf(PRODUCT));
    const rows = read("ARCHITECTURE.md").matchAll(
      /^\| `((?:registry|page|edge|origin)\/[a-z-]+)\/`/gm,
    );
    const rooms = [...rows].map(([, room = ""]) => room);
    expect(rooms).toContain("origin/command");
    const downwards = rooms.flatMap((room, place) =>
      (graph.get(room) ?? [])
        .filter((other) => rooms.indexOf(other) > place)
        .map((other) => `${room} imports ${other}`),
    );
    expect(downwards).toStrictEqual([]);
  });

  test("make a circle in whatever form they are written", () => {
    const forms = [
      'import { a } from "./b.ts";',
      'import type { A } from "./b.ts";',
      'import { type A, a } from "./b.ts";',
      'import "./b.ts";',
      'export * from "./b.ts";',
      'export type { A } from "./b.ts";',
      'const b = await import("./b.ts");',
      'type B = typeof import("./b.ts");',
    ];
    for (const form of forms) {
      const graph = new Map([
        ["edge/x/a.ts", importsOf("edge/x/a.ts", form)],
        ["edge/x/b.ts", importsOf("edge/x/b.ts", 'import type { A } from "../y/c.ts";')],
        ["edge/y/c.ts", importsOf("edge/y/c.ts", 'import type { A } from "../x/a.ts";')],
      ]);
      expect(circlesOf(graph)).toStrictEqual([
        "edge/x/a.ts → edge/x/b.ts → edge/y/c.ts → edge/x/a.ts",
      ]);
      expect(circlesOf(roomsOf(graph))).toStrictEqual(["edge/x → edge/y → edge/x"]);
    }
  });

  test("make no circle where two ways lead to one file", () => {
    const graph = new Map([
      ["a.ts", ["b.ts", "c.ts"]],
      ["b.ts", ["d.ts"]],
      ["c.ts", ["d.ts"]],
      ["d.ts", ["node:fs"]],
    ]);
    expect(circlesOf(graph)).toStrictEqual([]);
    expect(circlesOf(new Map([["a.ts", ["a.ts"]]]))).toStrictEqual(["a.ts → a.ts"]);
  });

  test("are seen in whatever form they are written", () => {
    const fromHere = importsOf("test/boundaries.test.ts");
    expect(fromHere).toContain("node:child_process");
    expect(importsOf("origin/app.ts")).toContain("registry/http/route.ts");
    expect(importsOf("origin/app.ts")).toContain("hono");
  });
});

/** The files of a folder in whose code a pattern occurs. */
function filesWith(folder: string, pattern: RegExp): readonly string[] {
  return scriptsOf(folder).filter((path) => pattern.test(withoutComments(read(path))));
}

describe("one place", () => {
  test("of the origin starts processes, besides its commands", () => {
    const starting = scriptsOf("origin").filter((path) =>
      importsOf(path).some((specifier) => /^(?:node:)?(?:child_process|cluster)$/.test(specifier)),
    );
    const others = starting.filter((path) => !path.startsWith("origin/command/"));
    expect(others).toStrictEqual(["origin/nix/spawn.ts", "origin/nix/warden.ts"]);
  });

  test("reads the environment: the commands at the origin, at the edge what puts the Worker together", () => {
    const origin = filesWith(
      "origin",
      /\bprocess\s*\.\s*env\b|\bprocess\s*\[|\benv\s*\}\s*=\s*process\b/,
    );
    expect(origin.filter((path) => !path.startsWith("origin/command/"))).toStrictEqual([]);
    const edge = filesWith(
      "edge",
      /\bprocess\s*\.|\benv\s*[.[]|\{[^}\n]*\}\s*=\s*env\b|cloudflare:workers/,
    );
    expect(
      edge.filter((path) => !/^edge\/(?:worker|app|create-edge|request\/env)\.ts$/.test(path)),
    ).toStrictEqual([]);
    expect(filesWith("registry", /\bprocess\s*\.|\benv\s*[.[]/)).toStrictEqual([]);
  });

  test("splits the path of a request", () => {
    // Whoever splits a path either works on `pathname` or knows where the registry's routes begin.
    const splits =
      /\bpathname\b[^;\n]*\.(?:split|match|startsWith|endsWith|replace|indexOf|slice(?!\(0,))\(|\.(?:exec|test)\([^;\n]*\bpathname\b|startsWith\(["'`]\/v2|===\s*["'`]\/v2|\^\\\/v2/;
    const found = ["registry", "page", "edge"].flatMap((folder) => filesWith(folder, splits));
    const serving = filesWith("origin", splits).filter((path) =>
      /^origin\/(?:[^/]+|pulling\/.+)$/.test(path),
    );
    expect([...found, ...serving]).toStrictEqual([
      "registry/http/page-route.ts",
      "registry/http/route.ts",
    ]);
  });

  test("writes the body of an error", () => {
    const writers = ["registry", "page", "edge", "origin"].flatMap((folder) =>
      filesWith(folder, /\berrors\s*:\s*\[\s*\{/),
    );
    expect(writers).toStrictEqual(["registry/http/error.ts"]);
  });

  test("reads an Accept header", () => {
    const readers = ["registry", "page", "edge", "origin"].flatMap((folder) =>
      filesWith(folder, /\.get\(\s*["'`]accept["'`]/i),
    );
    expect(readers).toStrictEqual(["registry/http/negotiation.ts"]);
  });
});

describe("files", () => {
  test("begin with a comment that says what they own", () => {
    const isSource = (path: string) =>
      /^(?:registry|page|edge|origin|nix|test|\.ci)\//.test(path) &&
      (/\.(?:[cm]?[jt]s|nix|sh)$/.test(path) || path.startsWith(".ci/"));
    // A test says in its first describe what it is of.
    const isTest = (path: string) => path.endsWith(".test.ts");
    const silent = ALL.filter((path) => isSource(path) && !isTest(path)).filter(
      (path) => !/^(?:#!.*\n(?:\n)?)?(?:\/\/|\/\*|#)/.test(read(path)),
    );
    expect(silent).toStrictEqual([]);
  });

  test("are called by what they own", () => {
    const banned =
      /^(?:utils?|helpers?|common|misc|managers?|services?|types|constants|shared|lib|stuff)$/;
    // A package set in nixpkgs' shape has nixpkgs' names.
    const ours = ALL.filter((path) => !path.startsWith("test/stand-ins/package-set/tree/"));
    const vague = ours.filter((path) =>
      path.split("/").some((part) => banned.test(part.replace(/\..*$/, ""))),
    );
    expect(vague).toStrictEqual([]);
  });

  test("are written in kebab-case", () => {
    const odd = ALL.filter(isScript).filter(
      (path) => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z]+)+$/.test(basename(path)),
    );
    expect(odd).toStrictEqual([]);
  });

  test("name no registry of packages, which every machine chooses for itself", () => {
    const hosts = packageRegistryHosts();
    expect(hosts.length).toBeGreaterThan(0);
    const naming = ALL.flatMap((path) => {
      const text = read(path);
      return hosts.filter((host) => text.includes(host)).map((host) => `${path} names ${host}`);
    });
    expect(naming).toStrictEqual([]);
    const lock: unknown = JSON.parse(read("package-lock.json"));
    expect(
      /"resolved"\s*:\s*"[a-z+]+:\/\//.test(JSON.stringify(lock)),
      "a URL in the lock file",
    ).toBe(false);
  });
});

/** Asked of the machine, so that their names stand nowhere here either. */
function packageRegistryHosts(): readonly string[] {
  const npm = execFileSync("npm", ["config", "get", "registry"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const folder = "/etc/apt/sources.list.d";
  const lists = ["/etc/apt/sources.list"].concat(
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [],
  );
  const apt = lists.filter((path) => existsSync(path)).map((path) => readFileSync(path, "utf8"));
  const urls = [npm, ...apt].join("\n").match(/https?:\/\/[^\s/]+/g) ?? [];
  return [...new Set(urls.map((url) => new URL(url).host))];
}
