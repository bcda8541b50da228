// What operators see of an origin: all that it tells, as text, whatever clients, packages and builders have
// written.

import { describe, expect, test } from "vitest";
import { ASSET_NAMES, type AssetFiles } from "../../../page/html/assets.ts";
import { operatorPage, operatorPageResponse } from "../../../page/html/operator-page.ts";
import { type OperatorView, parseOperatorView } from "../../../registry/http/operator-view.ts";
import { createRandom, hostileText } from "../../hostile-text.ts";
import { numbered, viewOf } from "./told-view.ts";

const FILES = Object.fromEntries(ASSET_NAMES.map((name) => [name, name])) as AssetFiles;
const tagsOf = (markup: string) =>
  [...markup.matchAll(/<(\/?[a-z][a-z0-9]*)/gi)].map(([, tag = ""]) => tag);

describe("the page of operators", () => {
  test("says all that the origin tells", () => {
    const { markup } = operatorPage(viewOf(numbered()), FILES);
    const view = JSON.stringify(viewOf(numbered()));
    for (const [said] of view.matchAll(/said-\d+\./g)) expect(markup).toContain(said);
    for (const said of ["12.3 s", "4.20 MB", "7 of 100", "3 entries", "more than ", "20 000"]) {
      expect(markup).toContain(said);
    }
  });

  test("calls no two of its regions the same", () => {
    const { markup } = operatorPage(viewOf(numbered()), FILES);
    const names = [...markup.matchAll(/aria-label="([^"]*)"|<h2[^>]*>([^<]*)/g)].map(
      ([, label, heading]) => label ?? heading,
    );
    expect(names.length).toBeGreaterThan(10);
    expect(names).toHaveLength(new Set(names).size);
  });

  test("says where there is nothing, or nobody knows", () => {
    const view: OperatorView = {
      ...viewOf(numbered()),
      ...{ builds: [], failures: [], underWay: [], indexes: [], trackedTags: [] },
      ...{ outbox: null, storage: null, nixStore: null },
    };
    const { markup } = operatorPage(view, FILES);
    for (const said of ["Nothing was built", "Nothing has failed", "being counted", "no edge"]) {
      expect(markup).toContain(said);
    }
  });

  test("shows as text whatever anybody has written, and runs nothing", () => {
    const plain = tagsOf(operatorPage(viewOf(numbered()), FILES).markup);
    expect(plain).not.toContain("script");
    const random = createRandom(6);
    for (const attack of ["<script>alert(1)</script>", '" onclick="x', "'>", "\u202e</pre>"]) {
      const { markup } = operatorPage(
        viewOf(() => attack + hostileText(random).replaceAll("\n", "")),
        FILES,
      );
      expect(tagsOf(markup)).toStrictEqual(plain);
      expect(markup).not.toMatch(/\u202e|" onclick="/);
    }
  });

  test("is kept by nobody, and may run nothing that is written into it", async () => {
    const request = new Request("https://pull.example.org/operator");
    const { headers } = await operatorPageResponse(request, viewOf(numbered()), FILES);
    expect(headers.get("Cache-Control")).toBe("no-store");
    expect(headers.get("Content-Security-Policy")).toContain("default-src 'none'");
  });
});

test("what an origin tells is read by its edge as it was written, and nothing else is", () => {
  const view = viewOf(numbered());
  expect(parseOperatorView(JSON.parse(JSON.stringify(view)))).toStrictEqual(view);
  for (const other of [null, {}, { ...view, builds: null }, { ...view, queues: [{}] }]) {
    expect(parseOperatorView(other)).toBeUndefined();
  }
});
