// What the page of an image says of what is known, of what failed and of what nobody has made; and that all of
// it is text, whatever packages, clients and builders have written.

import { assert, describe, expect, test } from "vitest";
import { ASSET_NAMES, type AssetFiles } from "../../../page/html/assets.ts";
import { imagePage } from "../../../page/html/image-page.ts";
import { progressOf, stepOf } from "../../../page/html/progress-view.ts";
import { sizeText } from "../../../page/html/quantities.ts";
import { RegistryError } from "../../../registry/http/error.ts";
import {
  askedPlatform,
  type ImageAnswer,
  type ImageState,
  imageFailed,
  parseImageAnswer,
} from "../../../registry/http/image-answer.ts";
import type { StageTold } from "../../../registry/http/progress.ts";
import type { ImageFacts, PackageFacts } from "../../../registry/image/image-facts.ts";
import { webAddress } from "../../../registry/image/lookup.ts";
import { createRandom, hostileText } from "../../hostile-text.ts";
import { digestOfText, pinOf, storePathOf, tagOf } from "../../registry/fixture.ts";
import { factsOf } from "../../registry/pantry.ts";

const FILES = Object.fromEntries(ASSET_NAMES.map((name) => [name, name])) as AssetFiles;
const PIN = pinOf("a".repeat(40));

function answerOf(image: ImageState, more: Partial<ImageAnswer> = {}): ImageAnswer {
  const about = { repository: "shell/git", tag: tagOf("latest"), architecture: "amd64" } as const;
  return { ...about, platforms: ["amd64"], moves: [], image, ...more };
}

function pageOf(answer: ImageAnswer): string {
  return imagePage(answer, { files: FILES, host: "pull.example.org" }).markup;
}

/** As a person reads it. */
function textOf(markup: string): string {
  const body = markup.slice(markup.indexOf("<body>"));
  return body
    .replace(/<[^>]*>/g, "")
    .replace(
      /&(amp|lt|gt|quot|#39);/g,
      (_, name) => ({ amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" })[name as "amp"],
    )
    .replace(/\s+/g, " ");
}

/** The tags, without what is in their attributes. */
function tagsOf(markup: string): readonly string[] {
  return [...markup.matchAll(/<(\/?[a-z][a-z0-9]*)/gi)].map(([, tag = ""]) => tag);
}

describe("the page of an image that is known", () => {
  test("has a row for each layer, with its size in words and what it holds", async () => {
    const facts = await factsOf("git/htop", ["oci-gzip", "docker-gzip", "oci-zstd"]);
    const markup = pageOf(answerOf({ state: "known", facts }));
    const text = textOf(markup);
    for (const [place, { digest, sizeBytes, storePaths }] of facts.layers.entries()) {
      expect(markup).toContain(`id="layer-${place + 1}"`);
      for (const shown of [digest, sizeText(sizeBytes), ...storePaths]) {
        expect(text).toContain(shown);
      }
    }
    expect(markup.match(/<rect class="part" width="100\.00"/g)).not.toBeNull();
  });

  test("pins it by its digest in lines to copy, and tells every form's", async () => {
    const facts = await factsOf("git", ["oci-gzip", "docker-gzip", "oci-zstd"]);
    const text = textOf(pageOf(answerOf({ state: "known", facts })));
    const [gzip] = facts.variants;
    const pinned = `pull.example.org/shell/git@${gzip?.digest}`;
    for (const line of [`docker pull ${pinned}`, `FROM ${pinned}`, `COPY --from=${pinned} /`]) {
      expect(text).toContain(line);
    }
    for (const { digest } of facts.variants) expect(text).toContain(digest);
    expect(text).not.toContain("not every client reads");
    const alone = await factsOf("git", ["oci-zstd"]);
    const shown = textOf(pageOf(answerOf({ state: "known", facts: alone })));
    expect(shown).toContain("not every client reads");
    expect(shown).toContain(`FROM pull.example.org/shell/git@${alone.variants[0]?.digest}`);
  });

  test("tells packages, the closure of each part, config, revision and moves", async () => {
    const facts = await factsOf("fhs/shell/git");
    const moves = [
      { pin: PIN, sinceMs: Date.UTC(2026, 10, 28, 10, 5) },
      { pin: pinOf("b".repeat(40)), sinceMs: Date.UTC(2026, 10, 27, 9) },
    ];
    const text = textOf(pageOf(answerOf({ state: "known", facts }, { moves })));
    for (const { attribute, version } of facts.packages) {
      expect(text).toContain(attribute);
      if (version !== null) expect(text).toContain(version);
    }
    for (const variable of facts.config.Env ?? []) expect(text).toContain(variable);
    expect(text).toContain("bash-interactive-5.2 (its own)");
    expect(text).toContain("zlib for fhs");
    expect(text).toContain(`2026-11-28 10:05 UTC: ${PIN} (this image)`);
    expect(text).toContain(`2026-11-27 09:00 UTC: ${"b".repeat(40)}`);
    expect(text).not.toContain("has moved on");
    const earlier = { ...facts, isNewest: false, resolvedAtMs: null };
    expect(textOf(pageOf(answerOf({ state: "known", facts: earlier })))).toContain("has moved on");
  });

  test("leads to the other platforms of a name that says none", async () => {
    const facts = await factsOf("git");
    const markup = pageOf(answerOf({ state: "known", facts }, { platforms: ["amd64", "arm64"] }));
    expect(markup).toContain('<a href="/i/shell/git?platform=linux/arm64">linux/arm64</a>');
    expect(markup).toContain('<span aria-current="page">linux/amd64</span>');
  });

  test("is whole markup that needs no script, with headings, captions and names for what scrolls", async () => {
    const facts = await factsOf("shell/git");
    const markup = pageOf(answerOf({ state: "known", facts }));
    expect(balanceOf(markup)).toStrictEqual([]);
    const ids = [...markup.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const named = [...markup.matchAll(/aria-labelledby="([^"]*)"|href="#([^"]*)"/g)];
    for (const [, label, target] of named) expect(ids).toContain(label ?? target);
    expect(markup.match(/<table>/g)?.length).toBe(markup.match(/<caption>/g)?.length);
    expect(markup.match(/<h1[\s>]/g)).toHaveLength(1);
    expect(markup).not.toMatch(/<style|\sstyle=|\son[a-z]+=/);
  });
});

/** Elements that were not ended, or ended out of turn. */
function balanceOf(markup: string): readonly string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const VOID = ["meta", "link"];
  for (const [all, slash, tag = ""] of markup.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*>/g)) {
    if (all.endsWith("/>") || VOID.includes(tag)) continue;
    if (slash === "") open.push(tag);
    else if (open.pop() !== tag) wrong.push(all);
  }
  return [...wrong, ...open];
}

describe("the page of an image that is not there", () => {
  test("says that nobody has made it, how to, and where its progress is", () => {
    const markup = pageOf(answerOf({ state: "unknown", message: "nobody has pulled it" }));
    expect(textOf(markup)).toContain("Not made yet");
    expect(textOf(markup)).toContain("docker pull pull.example.org/shell/git ");
    expect(markup).toContain('data-progress="/api/progress/shell/git"');
    expect(balanceOf(markup)).toStrictEqual([]);
  });

  test("says what failed and why, with the last lines of the log", () => {
    const derivation = `${storePathOf("gcc-13")}.drv`;
    const log = ["checking for cc... no", "error: no cc"];
    const detail = [
      { package: "git", reason: "build-failed", derivation, message: "exit code 1", log },
      { package: "hmop", reason: "missing", near: ["htop"] },
    ];
    const error = new RegistryError("MANIFEST_UNKNOWN", "git cannot be built\nno package hmop", {
      detail,
    });
    const text = textOf(pageOf(answerOf(imageFailed(error, Date.UTC(2026, 10, 28, 1, 2)))));
    for (const shown of ["git cannot be built", "no package hmop", derivation, ...log, "htop"]) {
      expect(text).toContain(shown);
    }
    expect(text).toContain("2026-11-28 01:02 UTC");
    expect(text).not.toContain("Another try");
  });

  test("says so where another try may go better", () => {
    const error = new RegistryError("UNAVAILABLE", "stopped after 60 s", { retryAfterSeconds: 60 });
    expect(textOf(pageOf(answerOf(imageFailed(error, null))))).toContain(
      "Another try may go better",
    );
  });

  test.for([null, 1, "text", {}, { package: 3 }, { package: "a", log: [1, null] }, []])(
    "takes %j in the place of a detail",
    (entry) => {
      const failed = imageFailed(new RegistryError("MANIFEST_UNKNOWN", "no"), null);
      expect(balanceOf(pageOf(answerOf({ ...failed, detail: [entry] })))).toStrictEqual([]);
    },
  );
});

describe("hostile text", () => {
  const MARKS = "<script>alert(1)</script>\"'&\u202e\u2066\u200f\u0007\u0000";

  test("is text wherever a package or a config says it", async () => {
    const facts = await factsOf("git");
    const plain = pageOf(answerOf({ state: "known", facts: spoiled(facts, "plain") }));
    const markup = pageOf(answerOf({ state: "known", facts: spoiled(facts, MARKS) }));
    expect(tagsOf(markup)).toStrictEqual(tagsOf(plain));
    expect(balanceOf(markup)).toStrictEqual([]);
    expect(markup).not.toMatch(CONTROLS);
    expect(textOf(markup)).toContain("<script>alert(1)</script>");
    // A mark that may stay turns nothing outside of the text that has it.
    for (const [, before] of markup.matchAll(/(<bdi>[^<]*)?\u200f/g)) expect(before).toBeDefined();
  });

  test("is text wherever a builder or a client says it", () => {
    const detail = [{ package: MARKS, derivation: MARKS, near: [MARKS], log: [MARKS, "last"] }];
    const error = new RegistryError("MANIFEST_UNKNOWN", MARKS, { detail });
    const markup = pageOf(answerOf(imageFailed(error, null)));
    expect(tagsOf(markup).filter((tag) => tag === "script")).toHaveLength(1);
    expect(markup).not.toMatch(CONTROLS);
    expect(balanceOf(markup)).toStrictEqual([]);
    expect(pageOf(answerOf({ state: "unknown", message: MARKS }))).not.toContain("<script>alert");
  });

  test("of any kind makes no element and ends no attribute", async () => {
    const facts = await factsOf("git");
    const plain = tagsOf(pageOf(answerOf({ state: "known", facts: spoiled(facts, "plain") })));
    const random = createRandom(20261129);
    for (let run = 0; run < 200; run += 1) {
      const text = hostileText(random);
      const markup = pageOf(answerOf({ state: "known", facts: spoiled(facts, text || "x") }));
      expect(tagsOf(markup), JSON.stringify(text)).toStrictEqual(plain);
    }
  });
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069]/;

/** With the text in the place of all that a package set or a client may have written. */
function spoiled(facts: ImageFacts, text: string): ImageFacts {
  const [layer, ...layers] = facts.layers;
  const [part, ...parts] = facts.parts;
  assert(layer && part);
  const each = (one: PackageFacts): PackageFacts => ({
    ...one,
    ...{
      attribute: text,
      name: text,
      version: text,
      description: text,
      mainProgram: text,
      homepage: webAddress(`https://example.org/${text}`),
    },
    ...{ licenses: [text, text], image: text },
  });
  return {
    ...facts,
    recipe: text,
    packages: facts.packages.map(each),
    layers: [{ ...layer, holds: text, links: [{ path: text, target: text }] }, ...layers],
    parts: [{ ...part, packages: [text] }, ...parts],
    config: {
      ...{ User: text, WorkingDir: text, StopSignal: text, Env: [text], Cmd: [text] },
      ...{ Entrypoint: [text], Labels: { [text]: text }, ExposedPorts: { [text]: {} } },
    },
  };
}

describe("an answer", () => {
  test("is read again as it was told", async () => {
    const facts = await factsOf("shell/git");
    const moves = [{ pin: PIN, sinceMs: 1 }];
    const error = new RegistryError("UNAVAILABLE", "no", {
      retryAfterSeconds: 1,
      detail: [{ a: 1 }],
    });
    const states = [
      { state: "known", facts },
      { state: "unknown", message: "nobody" },
      imageFailed(error, 5),
    ] as const;
    for (const state of states) {
      const answer = answerOf(state, { moves, platforms: ["arm64", "amd64"] });
      expect(parseImageAnswer(JSON.parse(JSON.stringify(answer)))).toStrictEqual(answer);
    }
  });

  test.for([
    {},
    null,
    { state: "known" },
    { ...answerOf({ state: "unknown", message: "" }), tag: "-" },
  ])("is nothing else: %j", (json) => expect(parseImageAnswer(json)).toBeUndefined());

  test("is about the platform that is asked for, and about no other than the name's", () => {
    const about = (query: string) =>
      askedPlatform(new URL(`http://host/i/git${query}`), ["arm64", "amd64"]);
    expect([about(""), about("?platform="), about("?platform=linux/amd64")]).toStrictEqual([
      "arm64",
      "arm64",
      "amd64",
    ]);
    expect(() => about("?platform=linux/riscv64")).toThrow(/linux\/arm64 or linux\/amd64/);
  });
});

describe("the progress of an image", () => {
  const stage: StageTold = {
    ...{ stage: "realising" as const, said: "building", counts: { done: 3, expected: 12 } },
    ...{ bytes: { done: 5_000_000, expected: 0 }, running: ["gcc-13", "<b>"], beganAtMs: 1 },
  };
  const digest = digestOfText("made");

  test.for([
    [{ event: "stage", data: stage }, /^Building gcc-13, <b> Done: 3 of 12 Bytes: 5\.00 MB$/],
    [
      { event: "done", data: { digest, edge: "not-yet" } },
      /^It is made It is on its way .*Show it$/,
    ],
    [{ event: "known", data: { digest, edge: "no-edge" } }, /^It is made Show it$/],
    [{ event: "failed", data: { message: "<i>no", log: ["last"] } }, /could not .*<i>no .*last/],
    [{ event: "idle", data: {} }, /Nobody/],
  ] as const)("says of %j what it is", ([event, said]) => {
    const { markup } = progressOf(event);
    expect(`${stepOf(event)} ${textOf(`<body>${markup}`).trim()}`.trim()).toMatch(said);
    expect(balanceOf(markup)).toStrictEqual([]);
  });
});
