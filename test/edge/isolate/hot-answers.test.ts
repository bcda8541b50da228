// What is answered again as it was a moment ago, and what goes the whole way.

import { describe, expect, test } from "vitest";
import { createHotAnswers } from "../../../edge/isolate/hot-answers.ts";
import type { Manifest } from "../../../edge/isolate/manifest.ts";
import { OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { digestOfText } from "../../registry/fixture.ts";

const URL_OF_IT = "https://edge.example/v2/git/manifests/sha256:1";
const DIGEST = digestOfText("manifest");
const BYTES = new TextEncoder().encode("manifest");
const GIVEN = { "Content-Type": OCI_MANIFEST, "Cache-Status": "nixport; hit; detail=memory" };
const NOTED_MS = 5000;

interface Asked {
  readonly url?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly atMs?: number;
}

function hotWith(documents: ReadonlyMap<string, Manifest>) {
  const hot = createHotAnswers({ lookup: (digest) => documents.get(digest) });
  hot.note(URL_OF_IT, DIGEST, new Headers(GIVEN), NOTED_MS);
  return ({ url = URL_OF_IT, atMs = NOTED_MS, ...init }: Asked) =>
    hot.answer(new Request(url, init), atMs);
}

const ask = hotWith(new Map([[DIGEST, { digest: DIGEST, mediaType: OCI_MANIFEST, bytes: BYTES }]]));

describe("a manifest that was just given", () => {
  test.for<Asked>([{}, { atMs: NOTED_MS + 999 }, { headers: { "If-None-Match": '"another"' } }])(
    "is given again to %j",
    async (asked) => {
      const response = ask(asked);
      expect(await response?.bytes()).toStrictEqual(BYTES);
      expect(Object.fromEntries(response?.headers ?? [])).toStrictEqual({
        "content-type": GIVEN["Content-Type"],
        "cache-status": GIVEN["Cache-Status"],
      });
    },
  );

  test.for<Asked>([
    { method: "HEAD" },
    { method: "PUT" },
    { url: `${URL_OF_IT}?ns=example.org` },
    { headers: { "If-None-Match": `"${DIGEST}"` } },
    { headers: { "If-Match": '"another"' } },
    { atMs: NOTED_MS + 1000 },
    { atMs: NOTED_MS - 1 },
  ])("goes the whole way for %j", (asked) => {
    expect(ask(asked)).toBeUndefined();
  });

  test("goes the whole way once memory has let it go", () => {
    expect(hotWith(new Map())({})).toBeUndefined();
  });
});
