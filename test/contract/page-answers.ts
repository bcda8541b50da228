// How every program that has pages answers them: the same at the edge and at an origin by itself.

import { expect, test } from "vitest";

export type AskPage = (path: string, options?: RequestInit) => Promise<Response>;

const HASHED = /\/assets\/[a-z]+-[A-Z0-9]{8}\.(?:js|css|svg)/g;

export function describePageAnswers(ask: AskPage): void {
  test("GET and HEAD of / with a page that a browser keeps to this host", async () => {
    const get = await ask("/");
    const text = await get.text();
    expect(get.status, text).toBe(200);
    expect(get.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(get.headers.get("Cache-Control")).toBe("no-cache");
    expect(get.headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(get.headers.get("Referrer-Policy")).toBe("no-referrer");
    const policy = get.headers.get("Content-Security-Policy") ?? "";
    expect(policy.split("; ").slice(0, 3)).toStrictEqual([
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
    ]);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*|data:/);
    const head = await ask("/", { method: "HEAD" });
    expect(await head.text()).toBe("");
    for (const name of ["ETag", "Content-Length", "Content-Type", "Content-Security-Policy"]) {
      expect(head.headers.get(name), name).toBe(get.headers.get(name));
    }
    const again = await ask("/", { headers: { "If-None-Match": get.headers.get("ETag") ?? "" } });
    expect(again.status).toBe(304);
  });

  test("/ with nothing that the policy forbids, and nothing of anybody else's", async () => {
    const text = await (await ask("/")).text();
    expect(text).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:/i);
    const loaded = [...text.matchAll(/\s(?:src|href)="([^"]*)"/g)].map(([, to = ""]) => to);
    expect(loaded.filter((to) => !/^[/#?]/.test(to) || to.startsWith("//"))).toStrictEqual([]);
  });

  test("assets once and for all, under the names that the page has them by", async () => {
    const paths = (await (await ask("/")).text()).match(HASHED) ?? [];
    const types = new Set<string | null>();
    for (const path of paths) {
      const asset = await ask(path);
      expect(asset.status, path).toBe(200);
      expect(asset.headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable");
      expect(asset.headers.get("X-Content-Type-Options")).toBe("nosniff");
      types.add(asset.headers.get("Content-Type"));
      expect((await asset.bytes()).length).toBeGreaterThan(0);
      const etag = asset.headers.get("ETag") ?? "";
      expect((await ask(path, { headers: { "If-None-Match": etag } })).status).toBe(304);
    }
    expect([...types].sort()).toStrictEqual([
      "image/svg+xml",
      "text/css; charset=utf-8",
      "text/javascript; charset=utf-8",
    ]);
  });

  test("404 to files that there are not, the manifest of those there are among them", async () => {
    for (const path of ["/assets/home-AAAAAAAA.js", "/assets/../manifest.json", "/assets/"]) {
      expect((await ask(path)).status, path).toBe(404);
    }
  });

  test("404 to whoever asks how it is doing, as of a page that there is not", async () => {
    for (const [path, absent] of [
      ["/operator", "/operator/x"],
      ["/api/operator", "/api/x"],
    ] as const) {
      const [told, expected] = [await ask(path), await ask(absent)];
      expect([told.status, expected.status], path).toStrictEqual([404, 404]);
      expect(await told.text()).toBe(await expected.text());
    }
  });

  test("errors as pages to people, and as JSON to programs", async () => {
    const shown = await ask("/i/UPPER<script>");
    const text = await shown.text();
    expect(shown.status).toBe(400);
    expect(shown.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(shown.headers.get("Cache-Control")).toBe("no-store");
    expect(shown.headers.get("Content-Security-Policy")).toContain("script-src 'self'");
    expect(text).not.toContain("<script>");
    const told = await ask("/api/images/UPPER");
    expect(told.status).toBe(400);
    expect(await told.json()).toMatchObject({ errors: [{ code: "NAME_INVALID" }] });
    const written = await ask("/", { method: "POST" });
    expect([written.status, written.headers.get("Allow")]).toStrictEqual([405, "GET, HEAD"]);
  });
}
