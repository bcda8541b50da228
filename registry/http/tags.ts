// The tag list of a repository (distribution specification, content discovery). Revisions cannot be
// listed: every commit of a source is a tag. What every source has is `latest`.

import { jsonResponse } from "./answer.ts";

const TAGS = ["latest"] as const;

/** `last` is exclusive; `n` bounds the page, and nothing is left behind a page that holds less. */
export function tagListResponse(repository: string, url: URL, method: string): Response {
  const last = url.searchParams.get("last") ?? "";
  const n = url.searchParams.get("n") ?? "";
  const limit = /^\d{1,9}$/.test(n) ? Number(n) : TAGS.length;
  const tags = TAGS.filter((tag) => tag > last).slice(0, limit);
  return jsonResponse({ name: repository, tags }, method);
}
