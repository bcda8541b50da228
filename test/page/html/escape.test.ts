import { describe, expect, test } from "vitest";
import { html } from "../../../page/html/escape.ts";
import { createRandom, hostileText } from "../../hostile-text.ts";

const RANDOM = createRandom(20261128);

describe("html", () => {
  test("writes text as text, wherever it stands", () => {
    const text = `<script>alert("1")</script> & 'x'`;
    expect(html`<p title="${text}">${text}</p>`.markup).toBe(
      '<p title="&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;">' +
        "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;</p>",
    );
  });

  test("takes its own markup as it is, lists of it, numbers, and nothing for nothing", () => {
    const items = ["a", "<b>"].map((item) => html`<li>${item}</li>`);
    expect(html`<ul>${items}</ul>${3}${0}${null}${undefined}${false}`.markup).toBe(
      "<ul><li>a</li><li>&lt;b&gt;</li></ul>30",
    );
  });

  test("takes nothing else for its own markup, though it looks like it", () => {
    const forged = { markup: "<script>" } as unknown as string;
    expect(html`${forged}`.markup).toBe("[object Object]");
  });

  test("shows what would turn or hide the text after it", () => {
    expect(html`${"a\u202eb\u2066c\0d\u001be\ud800f"}`.markup).toBe("a�b�c�d�e�f");
    expect(html`${"שלום\u200f é 🎁\n\t"}`.markup).toBe("שלום\u200f é 🎁\n\t");
  });

  test("lets no hostile text begin markup or end an attribute", () => {
    for (let run = 0; run < 5000; run += 1) {
      const text = hostileText(RANDOM);
      const { markup } = html`${text}`;
      expect(markup, JSON.stringify(text)).not.toMatch(/[<>"'\0]/);
      expect(markup.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, "")).not.toContain("&");
    }
  });
});
