// The stages of a pull or a refresh, out of the origin's log: each line that says how long something
// took is a span of time, and a stage took as long as its spans cover.

export const STAGES = ["resolve", "fetch", "evaluate", "realise", "pack"] as const;
export type Stage = (typeof STAGES)[number];
export type StageSeconds = Readonly<Record<Stage | "total" | "rest", number>>;

export interface Span {
  readonly stage: Stage | null;
  readonly fromMs: number;
  readonly untilMs: number;
  /** The recipe of an image that was made anew. */
  readonly image?: string;
  /** All that followed a tag's move. */
  readonly isRefresh?: true;
}

export type LogLine = Readonly<Record<string, unknown>>;

/** None, or one. */
export function spanOf(line: LogLine): readonly Span[] {
  const { time, ms, recipe } = line;
  if (typeof time !== "number" || typeof ms !== "number") return [];
  const span = { fromMs: time - ms, untilMs: time };
  switch (line.msg) {
    case "resolved":
      return [{ ...span, stage: "resolve" }];
    case "packed":
      return [{ ...span, stage: "pack" }];
    case "ended":
      return [{ ...span, stage: stageOfProcess(line) }];
    case "refreshed an image":
      return [{ ...span, stage: null, image: String(recipe) }];
    case "refreshed":
      return [{ ...span, stage: null, isRefresh: true }];
    default:
      return [];
  }
}

/** The tree is fetched by tree.nix, a flake by `nix`; what else evaluates is after it. */
function stageOfProcess({ program, expression }: LogLine): Stage | null {
  if (program === "nix-store") return "realise";
  if (program === "nix-instantiate") return expression === "tree.nix" ? "fetch" : "evaluate";
  return null;
}

export function secondsByStage(
  spans: readonly Span[],
  fromMs: number,
  untilMs: number,
): StageSeconds {
  const staged = spans.filter(({ stage }) => stage !== null);
  const covered = (some: readonly Span[]) => coveredMs(some, fromMs, untilMs) / 1000;
  const seconds = Object.fromEntries(
    STAGES.map((stage) => [stage, covered(staged.filter((span) => span.stage === stage))]),
  ) as Record<Stage, number>;
  const total = (untilMs - fromMs) / 1000;
  return { ...seconds, total, rest: total - covered(staged) };
}

/** What is covered by several at once counts once. */
function coveredMs(spans: readonly Span[], fromMs: number, untilMs: number): number {
  let covered = 0;
  let reachedMs = fromMs;
  for (const span of spans.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const endMs = Math.min(span.untilMs, untilMs);
    covered += Math.max(0, endMs - Math.max(span.fromMs, reachedMs));
    reachedMs = Math.max(reachedMs, endMs);
  }
  return covered;
}
