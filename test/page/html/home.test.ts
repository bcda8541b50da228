import { describe, expect, test } from "vitest";
import type { AssetFiles } from "../../../page/html/assets.ts";
import { homePage } from "../../../page/html/home.ts";
import {
  chips,
  imageFacts,
  imageName,
  imageSentence,
  lines,
  results,
} from "../../../page/html/recipe-view.ts";
import { NOTHING, readQuery } from "../../../page/recipe/chosen.ts";
import { LATEST } from "../../../registry/naming/reference.ts";
import { createRandom, hostileText } from "../../hostile-text.ts";
import { digestOfText } from "../../registry/fixture.ts";

const FILES: AssetFiles = {
  "home.js": "home-AAAAAAAA.js",
  "search.js": "search-AAAAAAAA.js",
  "image.js": "/assets/image-0123.js",
  "style.css": "style-AAAAAAAA.css",
  "icon.svg": "icon-AAAAAAAA.svg",
};
const HOST = "r.example";
const pageOf = (query: string, host = HOST) =>
  homePage({
    ...{ files: FILES, host, platforms: ["amd64", "arm64"] },
    read: readQuery(new URLSearchParams(query)),
  }).markup;

describe("homePage", () => {
  test("without scripts gives the lines for what its form sends", () => {
    const page = pageOf("packages=git+htop&word=shell&word=fhs&platform=arm64&tag=main");
    expect(page).toContain("docker pull r.example/arm64/shell/fhs/git/htop:main");
    expect(page).toContain('value="fhs" aria-describedby="about-fhs" checked');
    expect(page).not.toContain('value="nonroot" aria-describedby="about-nonroot" checked');
    expect(page).toContain('<option value="arm64" selected>');
    expect(page).toContain('<input type="hidden" name="packages" value="git htop">');
    expect(page).toContain('href="/i/arm64/shell/fhs/git/htop:main"');
    expect(pageOf("packages=jq&packages=git+htop")).toContain("docker pull r.example/jq/git/htop<");
    expect(page).toContain('href="?image=arm64/shell/fhs/htop:main" data-remove="git"');
  });

  test("says why there is no such image", () => {
    expect(pageOf("image=Git")).toMatch(
      /<p class="problem">&quot;Git&quot; has upper-case letters/,
    );
  });

  test("holds whatever is in its address as text", () => {
    const random = createRandom(3);
    const plain = tagsOf(pageOf(""));
    for (let run = 0; run < 500; run += 1) {
      const query = new URLSearchParams({ image: hostileText(random), tag: hostileText(random) });
      const tags = tagsOf(pageOf(String(query)));
      expect(tags.filter((tag) => !plain.includes(tag)).filter(isUnknown)).toStrictEqual([]);
    }
    expect(pageOf("", `"><script>alert(1)</script>`)).not.toContain("<script>alert");
  });
});

const tagsOf = (markup: string): readonly string[] => markup.match(/<[a-z][^\s>]*/g) ?? [];
const KNOWN = new Set(["<p", "<b", "<wbr", "<li", "<span", "<a", "<code", "<pre"]);
const isUnknown = (tag: string) => !KNOWN.has(tag);

describe("what changes while a recipe is put together", () => {
  test("shows hostile names, programs and descriptions as text", () => {
    const random = createRandom(4);
    for (let run = 0; run < 1000; run += 1) {
      const [name, program, description] = [0, 1, 2].map(() => hostileText(random));
      const found = { attribute: name ?? "", name: name ?? "", program, description };
      const { markup } = results(
        [{ ...found, program: program ?? null, description: description ?? null }],
        NOTHING,
      );
      expect(markup.match(/</g)?.length, markup).toBe(markup.match(/<\/?(?:li|span)\b/g)?.length);
    }
  });

  test("names what a program is called where the package is called otherwise", () => {
    const found = { attribute: "ripgrep", name: "ripgrep", program: "rg", description: null };
    expect(results([found], NOTHING).markup).toContain("runs rg");
    expect(results([{ ...found, program: "ripgrep" }], NOTHING).markup).not.toContain("runs");
    const chosen = { ...NOTHING, packages: ["ripgrep"] };
    expect(results([found], chosen).markup).toContain("chosen");
  });

  test("tells size, what is shared, and the digest where they are known", () => {
    const digest = digestOfText("image");
    const layers = [
      { diffId: digestOfText("a"), sizeBytes: 60_000_000 },
      { diffId: digestOfText("b"), sizeBytes: 23_200_000 },
    ];
    const known = { digest, isZstd: false, architecture: "amd64", sizeBytes: 83_210_000, layers };
    const state = { kind: "known", ...known } as const;
    const chosen = { ...NOTHING, packages: ["git"] };
    const sharing = { totalBytes: 83_200_000, sharedBytes: 60_000_000 };
    const { markup } = imageFacts({ chosen, state, sharing });
    expect(markup).toContain("83.2 MB in 2 layers");
    expect(markup).toContain("60.0 MB you have already, 23.2 MB to fetch");
    expect(markup).toContain(digest);
    expect(markup).toContain('href="/i/shell/git"');
    expect(markup).not.toContain("style=");
    const heard = imageSentence({ chosen, state, sharing });
    expect(heard).toBe("shell/git: 83.2 MB compressed, 23.2 MB to fetch.");
    expect(lines({ host: HOST, repository: "git", tag: LATEST, digest }).markup).toContain(
      `docker pull r.example/git@${digest}`,
    );
  });

  test("says that nobody has made it yet, or why it failed, as text", () => {
    const chosen = { ...NOTHING, packages: ["git"] };
    const unknown = imageFacts({ chosen, state: { kind: "unknown" }, sharing: null });
    expect(unknown.markup).toContain("the first pull makes it");
    const message = "<img src=x onerror=alert(1)>";
    const failed = imageFacts({ chosen, state: { kind: "failed", message }, sharing: null });
    expect(failed.markup).toContain("&lt;img src=x");
    expect(imageName(HOST, chosen).markup).toContain("<b>git</b>");
    expect(chips(chosen).markup).toContain('aria-label="Remove git"');
  });
});
