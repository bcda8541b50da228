// Every value that the edge has in KV and R2, as it tells of them page by page: which are damaged, and which
// name what is not there. KV is asked first, and in R2 what names others: so what is stored meanwhile is never
// found to be missing.

import type {
  EdgeStore,
  EdgeValue,
  NamedValue,
  ValuesBody,
  ValuesPage,
} from "../../registry/between/stored-values.ts";
import type { EdgeClient } from "../backfill/edge-client.ts";
import { type Checked, type Counted, type Finding, NotTold } from "./finding.ts";

export interface EdgeCheckOptions {
  readonly edge: Pick<EdgeClient, "askValues">;
  /** Blobs are most of the bytes: without them only their sizes are told. */
  readonly reads: "everything" | "documents";
  readonly onValues: (values: number, findings: number) => void;
  readonly signal: AbortSignal;
}

export interface EdgeChecked {
  readonly checked: Checked;
  readonly faults: readonly EdgeFault[];
}

/** What a finding is of, for who repairs it. */
export interface EdgeFault {
  readonly store: EdgeStore;
  readonly value: EdgeValue;
  /** Empty of a damaged one. */
  readonly missing: readonly NamedValue[];
}

/** A page is asked for once more: a Worker may be ended at any moment. */
const MAX_TRIES = 3;

interface Naming {
  readonly store: EdgeStore;
  readonly value: EdgeValue;
}

/** Throws NotTold where the edge does not answer. */
export async function checkEdge(options: EdgeCheckOptions): Promise<EdgeChecked> {
  const { edge, reads, onValues, signal } = options;
  const collections: Record<string, Counted> = {};
  /** By store and key. */
  const sizes = new Map<string, number>();
  const named = new Set<string>();
  const naming: Naming[] = [];
  const faults: EdgeFault[] = [];
  let count = 0;
  let [unfinished, strangers] = [0, 0];

  function note(store: EdgeStore, value: EdgeValue): void {
    count += 1;
    const folder = `${store}/${value.key.split("/")[0]}`;
    const { values, bytes } = collections[folder] ?? { values: 0, bytes: 0 };
    collections[folder] = { values: values + 1, bytes: bytes + value.sizeBytes };
    sizes.set(`${store}/${value.key}`, value.sizeBytes);
    if (value.state === "unfinished") unfinished += 1;
    if (value.state === "unknown") strangers += 1;
    if (value.state === "damaged") faults.push({ store, value, missing: [] });
    for (const each of value.names) named.add(`${each.store}/${each.key}`);
    if (value.names.length > 0) naming.push({ store, value });
  }

  for await (const { store, values } of pagesOfEdge(edge, reads, signal)) {
    for (const value of values) note(store, value);
    onValues(count, faults.length);
  }
  for (const { store, value } of naming) {
    const missing = value.names.filter(({ store, key, sizeBytes }) => {
      const found = sizes.get(`${store}/${key}`);
      return found === undefined || (sizeBytes !== null && found !== sizeBytes);
    });
    if (missing.length > 0) faults.push({ store, value, missing });
  }
  const orphans = [...sizes.keys()].filter((key) => key.startsWith("r2/blobs/") && !named.has(key));
  const checked = {
    ...{ collections, strangers, withoutChecksum: 0, findings: faults.map(findingOf) },
    orphans: { blobs: orphans.length, uploads: unfinished },
  };
  return { checked, faults };
}

/** KV's before R2's. Throws NotTold where the edge does not answer. */
export async function* pagesOfEdge(
  edge: Pick<EdgeClient, "askValues">,
  reads: ValuesBody["reads"],
  signal: AbortSignal,
): AsyncGenerator<{ readonly store: EdgeStore; readonly values: readonly EdgeValue[] }> {
  for (const store of ["kv", "r2"] as const) {
    let cursor: string | null = null;
    do {
      signal.throwIfAborted();
      const page: ValuesPage = await askPage(edge, { store, reads, cursor });
      yield { store, values: page.values };
      ({ cursor } = page);
    } while (cursor !== null);
  }
}

async function askPage(edge: EdgeCheckOptions["edge"], body: ValuesBody): Promise<ValuesPage> {
  for (let tries = 1; ; tries += 1) {
    const asked = await edge.askValues(body);
    if (asked.kind === "page") return asked.page;
    if (asked.kind === "refused" || tries === MAX_TRIES) throw new NotTold(asked.message);
  }
}

function findingOf({ store, value, missing }: EdgeFault): Finding {
  const key = `${store}/${value.key}`;
  if (missing.length === 0) return { key, kind: "damaged" };
  return { key, kind: "incomplete", missing: missing.map((each) => `${each.store}/${each.key}`) };
}
