// What the doctor finds: one line for each thing that it looks at, with what is to be done about it.

export const GROUPS = [
  "configuration",
  "nix",
  "source",
  "caches",
  "storage",
  "edge",
  "limits",
] as const;
export type Group = (typeof GROUPS)[number];

export type State = "ok" | "warning" | "failed" | "not-checked";

/** The names of the fields and states are those of `--json`, and stay. */
export interface Finding extends Seen {
  readonly group: Group;
  readonly check: string;
}

export interface Seen {
  readonly state: State;
  /** Which of several, such as a cache's URL. */
  readonly about: string | null;
  readonly saw: string;
  /** What a person should do; null where nothing needs to be done. */
  readonly toDo: string | null;
}

export interface Check {
  readonly group: Group;
  readonly check: string;
  /** Asks nobody but this machine, and is done in a moment. */
  readonly isCheap: boolean;
  /** How long it may take, where that is not a few seconds. */
  readonly deadlineMs?: number;
  readonly look: (signal: AbortSignal) => Promise<Seen | readonly Seen[]>;
}

export const ok = (saw: string): Seen => ({ state: "ok", about: null, saw, toDo: null });

export const notChecked = (saw: string): Seen => ({ ...ok(saw), state: "not-checked" });

export const warning = (saw: string, toDo: string): Seen => ({
  ...ok(saw),
  state: "warning",
  toDo,
});

export const failed = (saw: string, toDo: string): Seen => ({ ...ok(saw), state: "failed", toDo });

export const about = (subject: string, seen: Seen): Seen => ({ ...seen, about: subject });
