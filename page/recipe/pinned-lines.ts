// The lines that use an image, to be copied: with its digest where that is known, so that they mean the same
// for ever.

import { isLoopback } from "../../registry/http/loopback.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { LATEST, type Tag } from "../../registry/naming/reference.ts";

export interface LineOf {
  /** As clients name the registry: host and port. */
  readonly host: string;
  readonly repository: string;
  readonly tag: Tag;
  /** Null where nobody has made it yet. */
  readonly digest: Digest | null;
}

export interface PinnedLine {
  readonly id: string;
  /** What it is for. */
  readonly label: string;
  readonly text: string;
}

/** A digest alone, where there is one: not every client takes a tag besides. */
export function referenceOf({ host, repository, tag, digest }: LineOf): string {
  const name = `${host}/${repository}`;
  if (digest !== null) return `${name}@${digest}`;
  return tag === LATEST ? name : `${name}:${tag}`;
}

export function pinnedLines(image: LineOf): readonly PinnedLine[] {
  const reference = referenceOf(image);
  const word = inShell(reference);
  const text = JSON.stringify(reference);
  // Docker does without TLS there by itself.
  const plain = isLoopback(image.host.replace(/:\d+$/, "")) ? "--tls-verify=false " : "";
  return [
    { id: "docker", label: "docker pull", text: `docker pull ${word}` },
    { id: "podman", label: "podman run", text: `podman run --rm -it ${plain}${word}` },
    {
      id: "kubectl",
      label: "kubectl debug",
      text: `kubectl debug -it pod/app --target=app --image=${word}`,
    },
    { id: "base", label: "Dockerfile, on top", text: `FROM ${reference}` },
    {
      id: "copy",
      label: "Dockerfile, copied from",
      text: `COPY --from=${reference} /nix /nix\nCOPY --from=${reference} /bin /usr/local/bin`,
    },
    { id: "actions", label: "GitHub Actions", text: `container:\n  image: ${text}` },
    { id: "compose", label: "Compose", text: `services:\n  tools:\n    image: ${text}` },
  ];
}

/** Names and digests need no quotes, and few hosts do. */
function inShell(word: string): string {
  return /^[\w./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
