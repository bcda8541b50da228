// The sources that packages are made from: archives of a line of text, whose bytes are known from
// their URL, so that a package can name the hash and the forge can serve the file.

import { createHash } from "node:crypto";

const OWNER = "made-up-sources";

export function sourceUrl(pname: string, version: string): string {
  return `https://github.com/${OWNER}/${pname}/releases/download/${version}/${pname}-${version}.tar.gz`;
}

/** The file at the path of such a URL; undefined for any other. */
export function sourceAt(path: string): string | undefined {
  const [, pname, version] =
    new RegExp(`^/${OWNER}/([^/]+)/releases/download/([^/]+)/[^/]+$`).exec(path) ?? [];
  return pname === undefined || version === undefined ? undefined : sourceText(pname, version);
}

export function sourceHash(url: string): string {
  const text = sourceAt(new URL(url).pathname);
  if (text === undefined) throw new Error(`${url} is none of ours`);
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

function sourceText(pname: string, version: string): string {
  return `The source of ${pname} ${version}.\n`;
}
