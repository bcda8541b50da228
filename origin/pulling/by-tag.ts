// A pull by tag: the image is made where it is not there yet, while the request is held.

import { KEPT_HEADER } from "../../registry/between/keeping.ts";
import { publicText } from "../../registry/failures/public-text.ts";
import { manifestResponse, PACKING_HEADER, PIN_HEADER } from "../../registry/http/content.ts";
import { chooseVariant, type ZstdUse } from "../../registry/http/negotiation.ts";
import { withPageAddress } from "../../registry/http/page-address.ts";
import {
  PLATFORMS_HEADER,
  type Platforms,
  parsePlatforms,
  type WantedImage,
  wantedImage,
  wantedRecipes,
} from "../../registry/http/platforms.ts";
import { describeAge, movedWarning, staleWarning } from "../../registry/http/warning.ts";
import { OMITTED_HEADER, omittedHeader } from "../../registry/image/image-index.ts";
import type { Variant } from "../../registry/image/variant.ts";
import type { NamedRecipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Outbox } from "../backfill/outbox.ts";
import { failureError } from "../failures/failures.ts";
import type { BuiltForPlatforms } from "../images/answer.ts";
import type { FailedBuild } from "../images/index-of-builds.ts";
import type { PackedLayers } from "../images/packed-layers.ts";
import type { Log } from "../log/log.ts";
import type { ProgressFeed } from "../progress/feed.ts";
import type { Backfill, WorkEnd } from "../progress/watched-work.ts";
import { brokenEnd, failedEnd } from "../progress/work-end.ts";
import { GaveWay } from "../waiting/demand.ts";
import { type Hold, holdRequest, type StillUnderWay, type Wait } from "../waiting/hold-request.ts";
import { type Asker, type HoldLimits, holdFor, isOfEdge } from "./asker.ts";
import type { FailedPulls } from "./failed-pulls.ts";
import type { KeepPulled } from "./keep-pulled.ts";
import { buildForPlatforms } from "./platform-images.ts";
import { factsOf, layersOf, type PullNote } from "./pull-note.ts";
import type { RecentBuilds } from "./recent-builds.ts";
import type { StageLog } from "./stage-log.ts";
import type { TaggedImages } from "./tagged-images.ts";

export interface PullingByTag {
  /** What a name without a platform is built for, unless the edge asks for others. */
  readonly platforms: Platforms;
  /** For whom zstd is, unless the edge asks for a form. */
  readonly zstd: ZstdUse;
  readonly images: TaggedImages;
  readonly keep: KeepPulled;
  readonly failed: Pick<FailedPulls, "note" | "forget">;
  readonly layers: Pick<PackedLayers, "watch">;
  readonly stages: StageLog;
  readonly recentBuilds: Pick<RecentBuilds, "note">;
  readonly feed: ProgressFeed;
  /** Absent where there is no edge to fill. */
  readonly outbox: Outbox | null;
  /** For how long requests wait for their images. */
  readonly holds: HoldLimits;
  readonly log: Log;
  readonly now: () => number;
}

export async function serveTag(
  options: PullingByTag,
  request: Request,
  { repository, recipe, tag }: TaggedName,
  asker: Asker,
  note: PullNote,
): Promise<Response> {
  const asked = parsePlatforms(request.headers.get(PLATFORMS_HEADER) ?? "");
  const variant = chooseVariant(request.headers, options.zstd);
  note.asked(repository, tag, variant);
  const wanted = wantedImage(recipe, asked ?? options.platforms, request.headers, variant);
  const newBytes = options.layers.watch();
  const name = { image: repository, tag, variant };
  const hold = holdFor(options.holds, request, asker);
  // From anybody else it would be a way to fill the storage.
  const isKeptByEdge = asker.isKnown && request.headers.has(KEPT_HEADER);
  const built = await heldBuild(options, hold, { recipe, wanted, name, newBytes, isKeptByEdge });
  if (built.kind === "still-under-way") {
    const error = failureError(built);
    throw isOfEdge(asker, request) ? error : withPageAddress(error, request, { repository, tag });
  }
  if (built.kind === "failed") throw built.error;
  note.built(built, newBytes(layersOf(built)));
  const response = manifestResponse(request, built.manifest, "tag");
  const { headers } = response;
  headers.set(PIN_HEADER, built.pinned.pin);
  headers.set(PACKING_HEADER, built.packing);
  const omitted = omittedHeader(built.omitted);
  if (omitted !== undefined) headers.set(OMITTED_HEADER, omitted);
  if (built.movedTo !== null) {
    const why = built.pinned.whyEarlier;
    headers.set("Warning", movedWarning(tag, why && publicText(why)));
  } else if (built.pinned.outdated !== undefined) {
    const age = describeAge(options.now() - built.pinned.resolvedAtMs);
    const text = `${tag} was last resolved ${age} ago; the package source does not answer`;
    headers.set("Warning", staleWarning(text));
  }
  return response;
}

export interface TaggedName {
  /** As the client spelled it. */
  readonly repository: string;
  readonly recipe: NamedRecipe;
  readonly tag: Tag;
}

interface WantedBuild {
  readonly recipe: NamedRecipe;
  readonly wanted: WantedImage;
  readonly name: { readonly image: string; readonly tag: Tag; readonly variant: Variant };
  readonly newBytes: ReturnType<PackedLayers["watch"]>;
  readonly isKeptByEdge: boolean;
}

function heldBuild(
  options: PullingByTag,
  hold: Hold,
  { recipe, wanted, name, newBytes, isKeptByEdge }: WantedBuild,
): Promise<BuiltForPlatforms | FailedBuild | StillUnderWay> {
  const { images, keep, failed, outbox, stages, recentBuilds, feed, log, now } = options;
  const startedMs = now();
  const { image, tag, variant } = name;
  let backfill: Backfill | null = null;
  const build = async (wait: Wait) => {
    const built = await stages.watch({ image, tag }, wait, (watched) =>
      buildForPlatforms(images, wanted, tag, variant, watched),
    );
    const recipes = wantedRecipes(wanted);
    if (built.kind === "failed") {
      failed.note(recipes, tag, built.error);
      return built;
    }
    failed.forget(recipes, tag);
    wait.onStage(() => ({ kind: "storing" }));
    const isKept = await keep(built, { tag, variant, isKeptByEdge });
    // On disk before the answer: whatever a client was given reaches the edge, even after a kill. But
    // an earlier revision must not replace the newer one that may wait there.
    if (built.movedTo === null && outbox !== null) {
      backfill = await outbox.add({ tag, variant, answered: built, isKept });
    }
    return built;
  };
  const endOf = (result: PromiseSettledResult<BuiltForPlatforms | FailedBuild>): WorkEnd => {
    if (result.status === "rejected") return brokenEnd(result.reason);
    const { value } = result;
    if (value.kind === "failed") return failedEnd(value.error);
    return { kind: "made", digest: value.manifest.digest, backfill };
  };
  const work = async (wait: Wait) => {
    const watched = feed.follow({ recipe, tag }, wait, build, endOf);
    const [result] = await Promise.allSettled([watched]);
    const value = result.status === "fulfilled" ? result.value : undefined;
    const packed = !value || value.kind === "failed" ? 0 : newBytes(layersOf(value));
    recentBuilds.note({ image, tag, ms: now() - startedMs, newBytes: packed }, endOf(result));
    return watched;
  };
  const onLate = (late: PromiseSettledResult<BuiltForPlatforms | FailedBuild>) => {
    const facts = { ...name, ms: now() - startedMs };
    if (late.status === "rejected") {
      const { reason } = late;
      if (reason instanceof GaveWay) log.info(facts, "gave way to what is waited for");
      else log.error({ err: reason, ...facts }, "a late build failed");
      return;
    }
    const { value } = late;
    const more =
      value.kind === "failed"
        ? { answer: "failed", message: value.error.message }
        : factsOf(value, newBytes(layersOf(value)));
    log.info({ ...facts, outcome: value.kind, ...more }, "built after its request was answered");
  };
  return holdRequest(work, hold, { isBusy, onLate });
}

function isBusy(built: BuiltForPlatforms | FailedBuild): boolean {
  return built.kind === "failed" && built.error.code === "TOOMANYREQUESTS";
}
