// The world, simulated: how long a pull takes for users next to the bucket and a continent away, from
// the edge, from a registry in one region, and from one that redirects to a bucket there.

import { bar, type Row, type Section } from "./report.ts";
import type { Workbench } from "./workbench.ts";
import { PULLING_CLIENTS, type PullingClient, pullAs, type Server } from "./world/clients.ts";
import {
  ACCESS_BYTES_PER_SECOND,
  FIGURES,
  placeIn,
  REGIONS,
  type Region,
} from "./world/figures.ts";
import { createLine } from "./world/line.ts";
import {
  AHEAD_MS,
  contentOfImage,
  IMAGE,
  keepImage,
  startEdges,
  type WorldEdges,
} from "./world/places.ts";
import { type Content, edgeServer, redirectingServer, regionalServer } from "./world/servers.ts";
import { simulate } from "./world/simulation.ts";

const LIMIT = 1.2;
const HOUR_MS = 3_600_000;

/** In seconds of the world. */
interface Pulls {
  readonly client: PullingClient;
  readonly region: Region;
  readonly first: number;
  readonly later: number;
  readonly hourLater: number;
  readonly fromOrigin: number;
  readonly oneRegion: number;
  readonly redirected: number;
}

export async function measureWorld(bench: Workbench): Promise<Section> {
  const edges = await startEdges(bench, "world");
  try {
    const { bytes, layers } = await keepImage(edges);
    const content = await contentOfImage(edges.origin);
    const pulls: Pulls[] = [];
    for (const client of PULLING_CLIENTS) {
      for (const region of REGIONS)
        pulls.push(await pullEverywhere(edges, content, client, region));
    }
    return {
      name: "world",
      title: `${layers} layers, ${(bytes / 1e6).toFixed(1)} MB, pulled from near and far: seconds of a simulated world`,
      tables: [pulls.map(rowOf), figures()],
      bars: PULLING_CLIENTS.flatMap(({ name }) => {
        const [near, far] = REGIONS.map((region) =>
          pulls.find((each) => each.client.name === name && each.region === region),
        );
        if (near === undefined || far === undefined) return [];
        const ofBar = (what: string, over: number, under: number) =>
          bar(`${name}: far user, ${what}, over near`, over / under, "at most", LIMIT, "x");
        return [
          ofBar("later pull", far.later, near.later),
          ofBar("an hour later", far.hourLater, near.hourLater),
        ];
      }),
      notes: [
        "what this machine computes takes no time, no request finds an isolate that knows anything, nothing gets lost on the way, and R2 gives as fast as the user's line takes",
        "first: of what the edge has, the first pull at a location; later: within the minute for which KV keeps a tag there; from origin: the edge has nothing of it",
      ],
    };
  } finally {
    await edges.close();
  }
}

async function pullEverywhere(
  { filled, empty }: WorldEdges,
  content: Content,
  client: PullingClient,
  region: Region,
): Promise<Pulls> {
  const place = placeIn(region, `${client.name}-${region.name.replaceAll(" ", "-")}`);
  const seconds = async (server: Server) => {
    const line = createLine(ACCESS_BYTES_PER_SECOND);
    const { tookMs } = await simulate((world) =>
      pullAs(client, world, { repository: IMAGE, server, line }),
    );
    return tookMs / 1000;
  };
  return {
    ...{ client, region },
    first: await seconds(edgeServer(filled, place, AHEAD_MS)),
    later: await seconds(edgeServer(filled, place, AHEAD_MS)),
    hourLater: await seconds(edgeServer(filled, place, AHEAD_MS + HOUR_MS)),
    fromOrigin: await seconds(edgeServer(empty, place, AHEAD_MS)),
    oneRegion: await seconds(regionalServer(region, content)),
    redirected: await seconds(redirectingServer(region, content)),
  };
}

function rowOf({ client, region, first, later, ...others }: Pulls): Row {
  const { hourLater, fromOrigin, oneRegion, redirected } = others;
  return {
    ...{ client: client.name, user: region.name, first, later, "an hour later": hourLater },
    ...{
      "from origin": fromOrigin,
      "one region": oneRegion,
      redirected,
      "later, x one region": later / oneRegion,
    },
  };
}

function figures(): readonly Row[] {
  return Object.values(FIGURES).map(({ what, value, unit, source }) => ({
    ...{ figure: what, value: `${value} ${unit}`, source },
  }));
}
