// What each page's route is answered from at the edge.

import { homePage } from "../../page/html/home.ts";
import { imagePageResponse } from "../../page/html/image-page.ts";
import { operatorPageResponse } from "../../page/html/operator-page.ts";
import { errorPage, pageResponse } from "../../page/html/response.ts";
import { readQuery } from "../../page/recipe/chosen.ts";
import { jsonResponse } from "../../registry/http/answer.ts";
import { errorResponse, type RegistryError } from "../../registry/http/error.ts";
import { imageDataResponse } from "../../registry/http/image-answer.ts";
import type { OperatorView } from "../../registry/http/operator-view.ts";
import { isShown, type PageRoute } from "../../registry/http/page-route.ts";
import type { Edge } from "../request/edge.ts";
import { assetFiles, serveAsset } from "./assets.ts";
import { answerImage } from "./image-answer.ts";
import { serveIndex, serveIndexObject } from "./index-data.ts";
import { serveProgress } from "./progress.ts";

export async function servePage(edge: Edge, request: Request, route: PageRoute): Promise<Response> {
  switch (route.kind) {
    case "home": {
      const files = await assetFiles(edge);
      const { host, searchParams } = new URL(request.url);
      const { platforms } = edge;
      const read = readQuery(searchParams);
      return pageResponse(request, homePage({ files, host, platforms, read }));
    }
    case "asset":
      return serveAsset(edge, request, route.file);
    case "image": {
      const url = new URL(request.url);
      const answer = await answerImage(edge, route, url);
      return imagePageResponse(request, answer, { files: await assetFiles(edge), host: url.host });
    }
    case "image-data":
      return imageDataResponse(
        await answerImage(edge, route, new URL(request.url)),
        request.method,
      );
    case "progress":
      return serveProgress(edge, request, route);
    case "index":
      return serveIndex(edge, request);
    case "index-object":
      return serveIndexObject(edge, request, route.digest);
    // To whom, has been asked before.
    case "operator": {
      const view = await operatorView(edge);
      return operatorPageResponse(request, view, await assetFiles(edge));
    }
    case "operator-data":
      return jsonResponse(await operatorView(edge), request.method);
    default:
      return route satisfies never;
  }
}

/** Only the origin knows, and nothing of it is kept here. */
function operatorView(edge: Edge): Promise<OperatorView> {
  edge.trace.miss();
  return edge.trace.time("origin", () => edge.origin.operatorView());
}

/** An error as whoever asks can read it: a person as a page, where there is all that one needs. */
export async function pageError(
  edge: Edge,
  request: Request,
  error: RegistryError,
): Promise<Response> {
  const files = isShown(new URL(request.url)) && (await assetFiles(edge).catch(() => null));
  return files ? errorPage(request, error, files) : errorResponse(error, request.method);
}
