// The images that a command is given.

import { describe, expect, test } from "vitest";
import { imagesOf, readImageList } from "../../../origin/warm/image-list.ts";

async function* chunks(...texts: readonly string[]) {
  for (const text of texts) yield new TextEncoder().encode(text);
}

const EDGE = "http://127.0.0.1:8787";

describe("a list of images", () => {
  test("has one on each line, and remarks", async () => {
    const read = await readImageList(chunks("# ours\nshell/g", "it\n\n  htop:1 # old\r\n"));
    expect(read).toStrictEqual(["shell/git", "htop:1"]);
  });

  test("has an end", async () => {
    await expect(readImageList(chunks("x".repeat(2 << 20)))).rejects.toThrow(/longer than any/);
  });

  test("names each once, with or without its host and its tag", () => {
    const images = imagesOf(["git", "git:latest", "example.org/git"], null, EDGE);
    expect(images).toStrictEqual([
      { registryUrl: EDGE, name: "git", tag: "latest" },
      { registryUrl: "https://example.org", name: "git", tag: "latest" },
    ]);
  });

  test.for([["UPPER"], ["git:"], ["a".repeat(400)]])("is refused with %s in it", ([text]) => {
    expect(imagesOf([text ?? ""], null, EDGE)).toMatch(/^"/);
  });
});
