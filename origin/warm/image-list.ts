// The images that a command is to have made: as its arguments name them, or a list with one on each line.

import { type ImageReference, parseReference } from "../verify/reference.ts";

const MAX_LIST_CHARACTERS = 1 << 20;
const MAX_IMAGES = 10_000;

/** Each once; or what is wrong with one of them, as text. */
export function imagesOf(
  texts: readonly string[],
  url: string | null,
  defaultUrl: string,
): readonly ImageReference[] | string {
  if (texts.length > MAX_IMAGES) return `${texts.length} images: at most ${MAX_IMAGES} at once`;
  const images = new Map<string, ImageReference>();
  for (const text of texts) {
    const image = parseReference(text, url, defaultUrl);
    if (typeof image === "string") return `${JSON.stringify(text.slice(0, 300))} ${image}`;
    images.set(`${image.registryUrl} ${image.name}:${image.tag}`, image);
  }
  return [...images.values()];
}

/** What follows # is a remark. Throws where it is too long to be a list. */
export async function readImageList(
  chunks: AsyncIterable<Uint8Array | string>,
): Promise<readonly string[]> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of chunks) {
    text += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    if (text.length > MAX_LIST_CHARACTERS) throw new Error("the list is longer than any is");
  }
  return text.split("\n").flatMap((line) => line.replace(/#.*/, "").trim() || []);
}
