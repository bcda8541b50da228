// A look at one side: a check of all that is stored there and, where it is wished for, a repair.

import type { EdgeClient } from "../backfill/edge-client.ts";
import type { BlobStore, ReadableStore } from "../storage/blob-store.ts";
import { checkStorage } from "./check.ts";
import { checkEdge } from "./check-edge.ts";
import { type Checked, NotTold, type OnChecked, type Repaired } from "./finding.ts";
import { remake } from "./remake.ts";
import { repairStorage } from "./repair.ts";
import { repairEdge } from "./repair-edge.ts";
import type { Workshop } from "./workshop.ts";

export interface Looked extends Checked {
  /** Only where something was wrong. */
  readonly repair?: Repaired;
}

export interface Repairing {
  readonly store: BlobStore;
  /** Gives null where nothing can be made. */
  openWorkshop(): Promise<Workshop | null>;
}

export interface LookAtOrigin {
  readonly store: ReadableStore;
  /** Null: nothing is repaired. */
  readonly repairing: Repairing | null;
  readonly onChecked: OnChecked;
  readonly signal: AbortSignal;
}

export async function lookAtOrigin(options: LookAtOrigin): Promise<Looked> {
  const { store: readable, repairing, onChecked, signal } = options;
  const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
  const check = (reads: "everything" | "documents") =>
    checkStorage({
      ...{ store: readable, reads, signal },
      onChecked: (done, of, findings) => onChecked(megabytes(done), megabytes(of), findings),
    });
  const checked = await check("everything");
  if (repairing === null || checked.findings.length === 0) return checked;
  const { store } = repairing;
  const workshop = await repairing.openWorkshop();
  try {
    const repair = await repairStorage({
      ...{ store, found: checked.findings, check: () => check("documents") },
      remake: async (wanted) => {
        if (workshop !== null) await remake({ store, workshop, wanted, signal });
      },
    });
    return { ...checked, repair };
  } finally {
    await workshop?.close();
  }
}

export interface LookAtEdge {
  readonly edge: EdgeClient;
  /** The origin's, from which the edge is given again what is wrong; null: nothing is repaired. */
  readonly store: BlobStore | null;
  readonly onChecked: OnChecked;
  readonly signal: AbortSignal;
}

export interface NotLooked {
  /** Why the edge does not tell. */
  readonly notTold: string;
  /** Nobody has said that there is one. */
  readonly isAssumed?: boolean;
}

export async function lookAtEdge(options: LookAtEdge): Promise<Looked | NotLooked> {
  const { edge, store, onChecked, signal } = options;
  const check = (reads: "everything" | "documents") =>
    checkEdge({
      ...{ edge, reads, signal },
      // How many there are is known at the end.
      onValues: (values, findings) => onChecked(values, values, findings),
    });
  try {
    const { checked, faults } = await check("everything");
    if (store === null || faults.length === 0) return checked;
    const repair = await repairEdge({ edge, store, faults, check: () => check("documents") });
    return { ...checked, repair };
  } catch (error) {
    // Whoever stops the command has ended what was being asked.
    signal.throwIfAborted();
    if (!(error instanceof NotTold)) throw error;
    return { notTold: error.message };
  }
}
