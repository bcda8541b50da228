// Follows one move of a tag: its images that wait, one after another, from name to outbox.

import { isFound } from "../../registry/image/lookup.ts";
import {
  canonicalRecipe,
  isSpared,
  namesOf,
  type PackageName,
  type System,
  systemOf,
} from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { AnsweredImage } from "../backfill/entry.ts";
import { describeSetFailure, failureError, mayPass } from "../failures/failures.ts";
import { hostFailureOf } from "../failures/host-error.ts";
import { oneImage } from "../images/answer.ts";
import type { Images } from "../images/images.ts";
import { indexOf } from "../images/index-of-builds.ts";
import type { KeptImages } from "../images/kept-images.ts";
import { isStopped, type Lookups, type NamedLookup } from "../images/lookups.ts";
import type { Log } from "../log/log.ts";
import { MAX_NAMES_PER_EVALUATION } from "../nix/look-up.ts";
import type { PullNotes } from "../pulled/pull-notes.ts";
import { pulledOf } from "../pulled/pulled-image.ts";
import type { AnsweredPins } from "../sources/answered-pins.ts";
import type { PinnedTag } from "../sources/pins.ts";
import { ownDemand } from "../waiting/demand.ts";
import { imageKey, type Tracked, type TrackedImage } from "./tracked.ts";

export interface RefreshWork {
  readonly lookups: Lookups;
  readonly images: Images;
  readonly kept: Pick<KeptImages, "keep">;
  readonly answered: Pick<AnsweredPins, "note">;
  readonly pulls: Pick<PullNotes, "pulled">;
  /** Gives a made image to the edge, if there is one. */
  readonly give: (image: AnsweredImage) => Promise<unknown>;
}

export interface Waiting {
  readonly image: TrackedImage;
  readonly standIn: { readonly pinned: PinnedTag; readonly untilMs: number } | undefined;
}

export interface Move {
  readonly tag: Tag;
  readonly to: PinnedTag;
  /** Those that are neither made nor have failed for good. */
  readonly waiting: Map<string, Waiting>;
  /** Aborted by the next move of the tag, and when the origin goes down. */
  readonly signal: AbortSignal;
  readonly stop: () => void;
}

export interface FollowOptions {
  readonly tracked: Tracked;
  readonly log: Log;
  readonly now: () => number;
  /** Resolves when the next step may begin. */
  readonly quiet: () => Promise<void>;
}

/** Resolves with why images wait on, for one of them; null where none does. */
export type Follower = (move: Move) => Promise<string | null>;

export function createFollower(options: FollowOptions & RefreshWork): Follower {
  const { tracked, log, now, quiet, lookups, images, kept, answered, pulls, give } = options;

  async function follow(move: Move): Promise<string | null> {
    const { tag, to, waiting } = move;
    const startedMs = now();
    const count = waiting.size;
    let made = 0;
    const hindered = new Map<string, string>();
    try {
      await lookUpAll(move, hindered);
      for (const [key, { image }] of waiting) {
        if (hindered.has(key)) continue;
        await quiet();
        if (move.signal.aborted) break;
        const attempt = await make(move, image);
        if (attempt.kind === "made") made += 1;
        if (attempt.kind === "hindered") hindered.set(key, attempt.reason);
        else waiting.delete(key);
        if (attempt.kind === "made") await makeIndex(move, image);
      }
    } catch (error) {
      if (!move.signal.aborted) log.error({ err: error, tag, pin: to.pin }, "a refresh failed");
      waiting.clear();
    }
    log.info({ tag, pin: to.pin, images: count, made, ms: now() - startedMs }, "refreshed");
    const [reason = null] = hindered.values();
    return reason;
  }

  /**
   * All names of all images in one evaluation. An image without all its packages is given up, one of
   * which nothing could be found out is hindered.
   */
  async function lookUpAll(move: Move, hindered: Map<string, string>): Promise<void> {
    const { tag, to, waiting } = move;
    const open = [...waiting].map(([key, { image }]) => ({ key, recipe: image.recipe }));
    for (const [architecture, group] of Map.groupBy(open, (each) => each.recipe.architecture)) {
      const names = [...new Set(group.flatMap(({ recipe }) => namesOf(recipe)))];
      const unfound = await findUnfound(names, systemOf(architecture), move);
      for (const { key, recipe } of group) {
        const missing = unfound.filter(({ name }) => namesOf(recipe).includes(name));
        if (missing.length === 0) continue;
        const reason = [...new Set(missing.map(describeUnfound))].join(", ");
        if (missing.every(({ lookup }) => isStopped(lookup))) {
          hindered.set(key, reason);
          continue;
        }
        waiting.delete(key);
        log.warn({ recipe: canonicalRecipe(recipe), tag, pin: to.pin, reason }, "not refreshed");
      }
    }
  }

  /** The names that are no packages at the new pin, or of which that is not known. */
  async function findUnfound(
    names: readonly PackageName[],
    system: System,
    { to, signal }: Move,
  ): Promise<readonly NamedLookup[]> {
    const unfound: NamedLookup[] = [];
    // More names than one process takes are questions of their own, each with the whole deadline.
    for (let start = 0; start < names.length; start += MAX_NAMES_PER_EVALUATION) {
      const batch = names.slice(start, start + MAX_NAMES_PER_EVALUATION);
      await quiet();
      const found = await lookups.find(to, system, batch, ownDemand(signal));
      unfound.push(
        ...found.filter(({ name, lookup }) => !isFound(lookup) && !isSpared(name, lookup)),
      );
    }
    return unfound;
  }

  async function make({ tag, to, signal: wanted }: Move, image: TrackedImage): Promise<Attempt> {
    const { recipe, variant } = image;
    const facts = { recipe: canonicalRecipe(recipe), tag, pin: to.pin };
    const startedMs = now();
    try {
      const wait = { demand: ownDemand(wanted), onStage: () => {} };
      const built = await images.build(recipe, to, variant, wait);
      if (built.kind !== "built") {
        if (mayPass(built)) return { kind: "hindered", reason: failureError(built).message };
        log.warn({ ...facts, reason: built.kind }, "not refreshed");
        return { kind: "failed" };
      }
      await answered.note(to.pin);
      const { manifest } = built.image;
      const isKept = image.isKept && (await kept.keep({ images: [built.image], manifest }));
      const answer = oneImage({ recipe, built: { ...built, movedTo: null } });
      // It was, at the pin before, and will be.
      for (const each of pulledOf(answer, tag)) pulls.pulled(each);
      await give({ tag, variant, answered: answer, isKept });
      tracked.made(image, to.pin);
      log.debug({ ...facts, ms: now() - startedMs }, "refreshed an image");
      return { kind: "made" };
    } catch (error) {
      if (!wanted.aborted) log.error({ ...facts, err: error }, "not refreshed");
      const host = hostFailureOf(error);
      return host === undefined ? { kind: "failed" } : { kind: "hindered", reason: host.reason };
    }
  }

  /** Of the index that an image was pulled in, once no other image of it waits: its pointer moves with theirs. */
  async function makeIndex(move: Move, image: TrackedImage): Promise<void> {
    const { tag, to, waiting, signal } = move;
    const { recipe, variant, platforms } = image;
    const recipes = (platforms ?? []).map((architecture) => ({ ...recipe, architecture }));
    const waits = recipes.some((each) => waiting.has(imageKey({ recipe: each, tag, variant })));
    if (recipes.length === 0 || waits || signal.aborted) return;
    try {
      const wait = { demand: ownDemand(signal), onStage: () => {} };
      const results = await Promise.all(
        recipes.map(async (each) => {
          const result = await images.build(each, to, variant, wait);
          return result.kind === "built" ? { ...result, movedTo: null } : result;
        }),
      );
      const answer = await indexOf(recipes, results, variant);
      if (answer.kind !== "index") return;
      const { manifest } = answer;
      const of = answer.images.map(({ built }) => built.image);
      const isKept = image.isKept && (await kept.keep({ images: of, manifest }));
      for (const each of pulledOf(answer, tag)) pulls.pulled(each);
      await give({ tag, variant, answered: answer, isKept });
    } catch (error) {
      // Its images are there, and whoever pulls it next has it made.
      if (signal.aborted) return;
      log.warn({ err: error, recipe: canonicalRecipe(recipe), tag, pin: to.pin }, "no index");
    }
  }

  return follow;
}

type Attempt =
  | { readonly kind: "made" }
  /** It would again. */
  | { readonly kind: "failed" }
  | { readonly kind: "hindered"; readonly reason: string };

/** What is the fault of no name is said once for all of them. */
function describeUnfound({ name, lookup }: NamedLookup): string {
  if (lookup.kind === "unreachable") return lookup.message;
  if (lookup.kind === "set-failed") return describeSetFailure(lookup);
  return isStopped(lookup) ? lookup.kind : `${name}: ${lookup.kind}`;
}
