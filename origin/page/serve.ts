// What each page's route is answered from at an origin by itself.

import { homePage } from "../../page/html/home.ts";
import { imagePageResponse } from "../../page/html/image-page.ts";
import { operatorPageResponse } from "../../page/html/operator-page.ts";
import { errorPage, pageResponse } from "../../page/html/response.ts";
import { readQuery } from "../../page/recipe/chosen.ts";
import { jsonResponse } from "../../registry/http/answer.ts";
import { errorResponse, RegistryError } from "../../registry/http/error.ts";
import {
  askedPlatform,
  type ImageAnswer,
  imageDataResponse,
} from "../../registry/http/image-answer.ts";
import { isShown, type PageImage, type PageRoute } from "../../registry/http/page-route.ts";
import {
  PLATFORMS_HEADER,
  type Platforms,
  parsePlatforms,
  platformsOf,
  recipesOf,
} from "../../registry/http/platforms.ts";
import { answerProgress } from "../progress/answer-progress.ts";
import type { ProgressFeed } from "../progress/feed.ts";
import type { ClientKey } from "../waiting/demand.ts";
import type { Assets } from "./assets.ts";
import { type AnsweringImages, answerImage } from "./image-answer.ts";
import { type ServingIndex, serveIndex, serveIndexObject } from "./index-data.ts";
import { operatorView, type ToldToOperators } from "./operator-view.ts";

export interface ServingPages {
  readonly assets: Assets;
  /** What a name without a platform is for, unless an edge asks for others. */
  readonly platforms: Platforms;
  readonly answering: AnsweringImages;
  readonly feed: ProgressFeed;
  readonly indexing: ServingIndex;
  readonly toldToOperators: ToldToOperators;
}

export async function servePage(
  options: ServingPages,
  request: Request,
  route: PageRoute,
  client: ClientKey,
): Promise<Response> {
  const { assets, feed, indexing, platforms } = options;
  switch (route.kind) {
    case "home": {
      const files = await assets.files();
      const { host, searchParams } = new URL(request.url);
      const read = readQuery(searchParams);
      return pageResponse(request, homePage({ files, host, platforms, read }));
    }
    case "asset": {
      const found = await assets.serve(request, route.file);
      if (found === undefined) throw new RegistryError("NAME_UNKNOWN", "no such file");
      return found;
    }
    case "image": {
      const answer = await imageAnswer(options, request, route);
      const { host } = new URL(request.url);
      return imagePageResponse(request, answer, { files: await assets.files(), host });
    }
    case "image-data":
      return imageDataResponse(await imageAnswer(options, request, route), request.method);
    case "progress":
      return answerProgress(feed, request.method, route, client);
    case "index":
      return serveIndex(indexing, request);
    case "index-object":
      return serveIndexObject(indexing, request, route.digest);
    // To whom, has been asked before.
    case "operator": {
      const view = await operatorView(options.toldToOperators);
      return operatorPageResponse(request, view, await assets.files());
    }
    case "operator-data":
      return jsonResponse(await operatorView(options.toldToOperators), request.method);
    default:
      return route satisfies never;
  }
}

async function imageAnswer(
  { platforms: configured, answering }: ServingPages,
  request: Request,
  { recipe, repository, tag }: PageImage,
): Promise<ImageAnswer> {
  const asked = parsePlatforms(request.headers.get(PLATFORMS_HEADER) ?? "");
  const platforms = platformsOf(recipe, asked ?? configured);
  const architecture = askedPlatform(new URL(request.url), platforms);
  const [own] = recipesOf({ ...recipe, architecture }, platforms);
  const told = await answerImage(answering, own, tag);
  return { repository, tag, architecture, platforms, ...told };
}

/** An error as whoever asks can read it: a person as a page, where there is all that one needs. */
export async function pageError(
  { assets }: Pick<ServingPages, "assets">,
  request: Request,
  error: RegistryError,
): Promise<Response> {
  const files = isShown(new URL(request.url)) && (await assets.files().catch(() => null));
  return files ? errorPage(request, error, files) : errorResponse(error, request.method);
}
