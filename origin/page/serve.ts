// What each page's route is answered from at an origin by itself.

import { homePage } from "../../page/html/home.ts";
import { errorPage, pageResponse } from "../../page/html/response.ts";
import { readQuery } from "../../page/recipe/chosen.ts";
import { errorResponse, RegistryError } from "../../registry/http/error.ts";
import { isShown, type PageRoute } from "../../registry/http/page-route.ts";
import type { Platforms } from "../../registry/http/platforms.ts";
import type { Assets } from "./assets.ts";

export interface ServingPages {
  readonly assets: Assets;
  /** Which a name without one means. */
  readonly platforms: Platforms;
}

export async function servePage(
  { assets, platforms }: ServingPages,
  request: Request,
  route: PageRoute,
): Promise<Response> {
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
    case "index":
    case "index-object":
    case "image":
    case "image-data":
    case "progress":
    case "operator":
    case "operator-data":
      throw new RegistryError("NAME_UNKNOWN", "there is no such page");
    default:
      return route satisfies never;
  }
}

/** An error as whoever asks can read it: a person as a page, where there is all that one needs. */
export async function pageError(
  { assets }: ServingPages,
  request: Request,
  error: RegistryError,
): Promise<Response> {
  const files = isShown(new URL(request.url)) && (await assets.files().catch(() => null));
  return files ? errorPage(request, error, files) : errorResponse(error, request.method);
}
