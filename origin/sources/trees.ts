// The files of pinned revisions, each fetched once: by one process however many ask, within a deadline
// of its own, and kept until no tag in use needs them. Evaluations are given the store path, so
// that none of them asks the network, also after a restart or with the forge down.

import { isYounger } from "../../registry/between/age.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { recentValues } from "../memory/recent-values.ts";
import type { FetchedTree } from "../nix/fetch-tree.ts";
import type { Transfers } from "../nix/nix-log.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { type Demand, lastingDemand } from "../waiting/demand.ts";
import type { Stage } from "../waiting/hold-request.ts";
import { joinBatches } from "../waiting/join.ts";
import { type Busy, type Cancelled, createSlots } from "../waiting/slots.ts";
import { describeRevision, fetchRevision, isRemote } from "./fetch-revision.ts";
import type { PinnedTag } from "./pin-memory.ts";
import { type KeepingRules, pruneTrees, USE_NOTED_MS } from "./prune-trees.ts";
import { openTreeRoots, treeKey } from "./tree-roots.ts";

export interface Trees {
  /**
   * The source with its files in the store. Cancelled when the demand's signal is aborted; the fetching
   * goes on, for whoever asks next, unless others need its place.
   */
  obtain(pinned: PinnedTag, demand: Demand): Promise<ObtainedTree>;
  /** How far the fetching is; undefined where nothing is being fetched. */
  stage(pinned: PinnedTag): Stage | undefined;
  /** Lets go of what was not used for long and is no tag's revision. */
  prune(): Promise<void>;
  /** Resolves when nothing is being fetched. */
  settled(): Promise<void>;
}

export type ObtainedTree = { readonly kind: "there"; readonly source: PinnedSource } | NoTree;

export type NoTree =
  | { readonly kind: "unknown-tag"; readonly message: string }
  | { readonly kind: "unreachable"; readonly message: string }
  | Busy
  | Cancelled;

export interface TreesOptions extends KeepingRules {
  readonly nix: NixTool;
  /** What git runs in. */
  readonly env: Readonly<Record<string, string>>;
  /** On a path that the Nix daemon can read. */
  readonly folder: string;
  /** For one revision, all attempts at it. */
  readonly deadlineMs: number;
  readonly maxQueue: number;
  readonly now: () => number;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
}

const FETCHES_AT_ONCE = 2;
/**
 * Nix since 2.20 begins no download again that broke when some of it had come. One that gave no more
 * than an error's page is not worth another.
 */
const MAX_ATTEMPTS = 3;
const BROKEN_AFTER_BYTES = 64_000;
const MAX_NOTED_USES = 1000;
const LOG_EVERY_BYTES = 16_000_000;

interface Wanted {
  readonly key: string;
  readonly pinned: PinnedTag;
}

export async function openTrees(options: TreesOptions): Promise<Trees> {
  const { nix, env, folder, log, now, signal } = options;
  const roots = await openTreeRoots(nix, folder);
  const slots = createSlots({ atOnce: FETCHES_AT_ONCE, waiting: options.maxQueue });
  const fetcher = { nix, env, workPath: folder };
  /** What is being fetched; null while it waits for its turn. */
  const underWay = new Map<string, Transfers | null>();
  const used = recentValues<number>(MAX_NOTED_USES);
  const running = new Set<Promise<unknown>>();
  const joined = joinBatches<Wanted, ObtainedTree>(
    ({ key }) => key,
    (all, demand) => Promise.all(all.map((each) => findOrFetch(each, demand))),
  );

  async function findOrFetch({ key, pinned }: Wanted, demand: Demand): Promise<ObtainedTree> {
    const kept = await roots.find(key, signal);
    const tree = kept ?? (await fetchInTurn(key, pinned, demand));
    if (typeof tree !== "string") return tree;
    await noteUse(key);
    // What there is grows with a fetch only, so this is when to make room.
    if (kept === undefined) await prune();
    const { source } = pinned;
    // A flake is more than its files: Nix finds its tree and its inputs in the store by their hashes.
    return { kind: "there", source: source.kind === "flake" ? source : { ...source, files: tree } };
  }

  async function noteUse(key: string): Promise<void> {
    if (isYounger(used.lookup(key) ?? Number.NEGATIVE_INFINITY, now(), USE_NOTED_MS)) return;
    used.store(key, now());
    await roots.noteUse(key, now());
  }

  async function fetchInTurn(
    key: string,
    pinned: PinnedTag,
    demand: Demand,
  ): Promise<StorePath | NoTree> {
    underWay.set(key, null);
    const ended = AbortSignal.any([signal, demand.signal]);
    try {
      const result = await slots.run(() => fetchAndKeep(key, pinned, ended), ended, demand);
      if (typeof result === "string" || result.kind === "busy") return result;
      return result.kind === "cancelled" || ended.aborted ? { kind: "cancelled" } : result;
    } finally {
      underWay.delete(key);
    }
  }

  async function fetchAndKeep(
    key: string,
    pinned: PinnedTag,
    ended: AbortSignal,
  ): Promise<StorePath | NoTree> {
    const { pin, source } = pinned;
    const startedMs = now();
    log.info({ pin, from: describeRevision(source) }, "fetching the package set");
    const deadline = AbortSignal.timeout(options.deadlineMs);
    const limits = { deadlineMs: options.deadlineMs, signal: AbortSignal.any([ended, deadline]) };
    for (let attempt = 1; ; attempt++) {
      const note = noteTransfers(key, pin);
      const fetched = await fetchRevision(fetcher, source, {
        ...limits,
        onTransfer: note.onTransfer,
      });
      const isKept =
        fetched.kind === "fetched" && (await roots.keep(key, fetched.paths, limits.signal));
      if (isKept) {
        log.info(
          { pin, bytes: note.doneBytes(), ms: now() - startedMs },
          "fetched the package set",
        );
        return fetched.paths[0];
      }
      const isLast =
        limits.signal.aborted ||
        attempt === MAX_ATTEMPTS ||
        !isWorthAnother(fetched, note.doneBytes());
      if (ended.aborted) return { kind: "cancelled" };
      if (isLast) return settled(fetched, pinned, note.doneBytes());
      log.warn({ pin, attempt, bytes: note.doneBytes() }, "fetching the package set once more");
    }
  }

  /** Remembers how far it is, and says so now and then. */
  function noteTransfers(key: string, pin: Pin) {
    let doneBytes = 0;
    let toldBytes = 0;
    underWay.set(key, { doneBytes, expectedBytes: 0 });
    return {
      doneBytes: () => doneBytes,
      onTransfer(transfers: Transfers) {
        underWay.set(key, transfers);
        doneBytes = Math.max(doneBytes, transfers.doneBytes);
        if (doneBytes - toldBytes < LOG_EVERY_BYTES) return;
        toldBytes = doneBytes;
        log.info({ pin, ...transfers }, "fetching");
      },
    };
  }

  /** The operator learns of what is wrong with the source, the client of what it asked for. */
  function settled(fetched: FetchedTree, pinned: PinnedTag, doneBytes: number): NoTree {
    const { pin, immutable } = pinned;
    const from = describeRevision(pinned.source);
    if (fetched.kind === "absent" && immutable) {
      log.info({ pin, reason: fetched.message }, "no such revision");
      return { kind: "unknown-tag", message: `no such revision: ${from}` };
    }
    const message = reasonOf(fetched, from, doneBytes);
    log.error({ pin, reason: message }, "the package set was not fetched");
    return { kind: "unreachable", message };
  }

  function reasonOf(fetched: FetchedTree, from: string, doneBytes: number): string {
    switch (fetched.kind) {
      // What a branch pointed at just now is not unknown, whatever the forge says of its archive.
      case "absent":
      case "unreachable":
        return fetched.message;
      case "fetched":
        return `${from}: it was collected as soon as it was there`;
      case "stopped":
        return `${from}: not fetched in ${options.deadlineMs / 1000} s; ${doneBytes} bytes had come`;
      default:
        return fetched satisfies never;
    }
  }

  const prune = () =>
    pruneTrees({
      ...{ ...options, roots, nowMs: now() },
      isInUse: (key, restMs) => underWay.has(key) || now() - (used.lookup(key) ?? 0) < restMs,
    });

  return {
    async obtain(pinned, demand) {
      if (!isRemote(pinned.source)) return { kind: "there", source: pinned.source };
      const key = treeKey(pinned.pin, pinned.source);
      const lasting = lastingDemand(demand);
      const obtained = joined
        .all([{ key, pinned }], lasting)
        .finally(() => running.delete(obtained));
      running.add(obtained);
      return await unlessLeft(obtained, demand.signal);
    },
    stage(pinned) {
      const transfers = underWay.get(treeKey(pinned.pin, pinned.source));
      if (transfers === undefined) return undefined;
      return transfers === null ? { kind: "queued" } : { kind: "fetching", ...transfers };
    },
    prune,
    async settled() {
      await Promise.allSettled(running);
    },
  };
}

function isWorthAnother({ kind }: FetchedTree, doneBytes: number): boolean {
  return kind === "fetched" || (kind === "unreachable" && doneBytes > BROKEN_AFTER_BYTES);
}

async function unlessLeft(
  obtained: Promise<readonly ObtainedTree[]>,
  wanted: AbortSignal,
): Promise<ObtainedTree> {
  const { promise: left, resolve } = Promise.withResolvers<readonly ObtainedTree[]>();
  const leave = () => resolve([{ kind: "cancelled" }]);
  if (wanted.aborted) leave();
  wanted.addEventListener("abort", leave, { once: true });
  try {
    const [tree] = await Promise.race([obtained, left]);
    return tree ?? { kind: "cancelled" };
  } finally {
    wanted.removeEventListener("abort", leave);
    obtained.catch(() => undefined);
  }
}
