// Searching the registry's index by way of a worker, once there is an index.

import { pagePath } from "../../registry/http/page-route.ts";
import { readSummaries } from "../../registry/package-index/summary.ts";
import type { Asked, Told } from "../search/messages.ts";

export type Readiness =
  | { readonly kind: "ready"; readonly count: number }
  /** There is no index yet. */
  | { readonly kind: "none" }
  /** It is for those who log in. */
  | { readonly kind: "refused" }
  | { readonly kind: "failed" };

export interface Searching {
  search(query: string): void;
}

export interface SearchingOptions {
  /** The worker's script. */
  readonly script: string;
  readonly onReadiness: (readiness: Readiness) => void;
  readonly onFound: (found: Extract<Told, { readonly kind: "found" }>) => void;
}

export function startSearching({ script, onReadiness, onFound }: SearchingOptions): Searching {
  let worker: Worker | undefined;
  const ask = (message: Asked) => worker?.postMessage(message);
  const begin = async () => {
    const response = await fetch(pagePath.index);
    if (response.status === 401 || response.status === 403) return onReadiness({ kind: "refused" });
    if (response.status === 404) return onReadiness({ kind: "none" });
    if (!response.ok) return onReadiness({ kind: "failed" });
    const [index] = readSummaries(await response.json());
    if (index === undefined) return onReadiness({ kind: "none" });
    worker = new Worker(script);
    worker.addEventListener("error", () => onReadiness({ kind: "failed" }));
    worker.addEventListener("message", ({ data }: MessageEvent<Told>) => {
      if (data.kind === "found") onFound(data);
      else onReadiness(data);
    });
    const { names, texts } = index;
    ask({
      ...{ kind: "load", names: pagePath.indexObject(names), texts: pagePath.indexObject(texts) },
    });
  };
  begin().catch(() => onReadiness({ kind: "failed" }));
  return { search: (query) => ask({ kind: "search", query }) };
}
