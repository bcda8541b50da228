// What a registry answered under load: the image of each name, which must stay the one that it was, whoever
// is killed meanwhile; and what was wrong.

import { OCI_MANIFEST } from "../../registry/image/media-type.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { Random } from "../bench/random.ts";

export interface AnsweredImage {
  readonly name: string;
  readonly digest: Digest;
  /** Its config, and its layers. */
  readonly blobs: readonly Digest[];
}

export type Asked =
  /** Whole, whatever its status. */
  | { readonly kind: "answered"; readonly status: number; readonly bytes: Uint8Array }
  /** As one may be where something was killed: told to come again, or cut off. */
  | { readonly kind: "refused"; readonly why: string };

export type Outcome =
  | { readonly kind: "right" }
  | { readonly kind: "refused"; readonly why: string }
  /** What nobody should ever be answered with. */
  | { readonly kind: "wrong"; readonly what: string };

/** A request that hangs is wrong, and none waits longer for what is built here. */
const ANSWER_DEADLINE_MS = 60_000;
const COME_AGAIN: ReadonlySet<number> = new Set([429, 503]);
const RIGHT: Outcome = { kind: "right" };

export interface Answers {
  readonly images: ReadonlyMap<string, AnsweredImage>;
  pullByTag(name: string): Promise<Outcome>;
  pullByDigest(image: AnsweredImage): Promise<Outcome>;
  pullBlob(image: AnsweredImage, digest: Digest): Promise<Outcome>;
  /** Of a name that no package has. */
  askForNothing(name: string): Promise<Outcome>;
}

export function collectAnswers(registryUrl: string): Answers {
  const images = new Map<string, AnsweredImage>();

  async function ask(path: string): Promise<Asked | "late"> {
    const deadline = AbortSignal.timeout(ANSWER_DEADLINE_MS);
    try {
      const response = await fetch(new URL(path, registryUrl), {
        headers: { Accept: OCI_MANIFEST, "User-Agent": "test" },
        signal: deadline,
      });
      const bytes = new Uint8Array(await response.arrayBuffer());
      const { status, headers } = response;
      if (!COME_AGAIN.has(status)) return { kind: "answered", status, bytes };
      // One that does not say when would be asked again at once, or never.
      if (!headers.has("Retry-After")) return { kind: "answered", status, bytes };
      return { kind: "refused", why: `${status} ${textOf(bytes)}` };
    } catch (error) {
      return deadline.aborted ? "late" : { kind: "refused", why: causeOf(error) };
    }
  }

  /** What has this digest, and nothing else, will do. */
  async function askFor(
    path: string,
    digest: Digest | null,
  ): Promise<Outcome & { bytes?: Uint8Array }> {
    const asked = await ask(path);
    if (asked === "late") return { kind: "wrong", what: `${path}: no answer` };
    if (asked.kind === "refused") return asked;
    const { status, bytes } = asked;
    if (status !== 200) return { kind: "wrong", what: `${path}: ${status} ${textOf(bytes)}` };
    const actual = await digestOf(bytes);
    if (digest !== null && actual !== digest) {
      return { kind: "wrong", what: `${path}: ${actual} instead of ${digest}` };
    }
    return { kind: "right", bytes };
  }

  return {
    images,
    async pullByTag(name) {
      const path = `/v2/${name}/manifests/latest`;
      const { bytes, ...outcome } = await askFor(path, images.get(name)?.digest ?? null);
      if (bytes === undefined) return outcome;
      const image = await readImage(name, bytes);
      const { digest } = images.get(name) ?? image;
      if (image.digest !== digest) {
        return { kind: "wrong", what: `${path}: ${image.digest} beside ${digest}` };
      }
      images.set(name, image);
      return outcome;
    },
    async pullByDigest({ name, digest }) {
      const { bytes: _, ...outcome } = await askFor(`/v2/${name}/manifests/${digest}`, digest);
      return outcome;
    },
    async pullBlob({ name }, digest) {
      const { bytes: _, ...outcome } = await askFor(`/v2/${name}/blobs/${digest}`, digest);
      return outcome;
    },
    async askForNothing(name) {
      const path = `/v2/${name}/manifests/latest`;
      const asked = await ask(path);
      if (asked === "late") return { kind: "wrong", what: `${path}: no answer` };
      if (asked.kind === "refused") return asked;
      const { status, bytes } = asked;
      return status === 404
        ? RIGHT
        : { kind: "wrong", what: `${path}: ${status} ${textOf(bytes)}` };
    },
  };
}

async function readImage(name: string, bytes: Uint8Array): Promise<AnsweredImage> {
  const { config, layers } = JSON.parse(textOf(bytes)) as {
    config: { digest: Digest };
    layers: readonly { digest: Digest }[];
  };
  return {
    ...{ name, digest: await digestOf(bytes) },
    blobs: [config, ...layers].map(({ digest }) => digest),
  };
}

/** Everything that was answered, once more, with every blob: what is not as it was. */
export async function whatIsLost(answers: Answers, atOnce = 4): Promise<readonly string[]> {
  const lost: string[] = [];
  const looked = new Set<Digest>();
  const queue = [...answers.images.values()].values();
  const note = (outcome: Outcome, what: string) => {
    if (outcome.kind === "wrong") lost.push(outcome.what);
    if (outcome.kind === "refused") lost.push(`${what}: ${outcome.why}`);
  };
  const worker = async () => {
    for (const image of queue) {
      note(await answers.pullByTag(image.name), image.name);
      note(await answers.pullByDigest(image), `${image.name}@${image.digest}`);
      for (const digest of image.blobs) {
        if (looked.has(digest)) continue;
        looked.add(digest);
        note(await answers.pullBlob(image, digest), `${image.name} ${digest}`);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return lost;
}

export function anyOf(random: Random, { images }: Answers): AnsweredImage | undefined {
  return [...images.values()][random.below(images.size)];
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
