// What many layers cost a client: one image as it is composed, and the same content in eight layers,
// pulled and unpacked by clients that unpack one layer after another.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FORMS, type Form } from "../../registry/image/record.ts";
import { composedImage, fewLayersImage } from "./few-layers.ts";
import { compare, interleave, type Measure, median, type Sample } from "./measure.ts";
import { pullBlob, pullManifest, startOrigin } from "./origins.ts";
import { PULL_CLIENTS, type PullClient } from "./pull-clients.ts";
import { bar, type Row, type Section } from "./report.ts";
import { type StaticImage, serveImages } from "./static-registry.ts";
import { UNPACKED_IMAGE, type Workbench } from "./workbench.ts";

const LIMIT = 1.25;

interface ImagePair {
  readonly form: Form;
  readonly composed: StaticImage;
  readonly few: StaticImage;
}

export async function measurePulls(bench: Workbench): Promise<Section> {
  const pairs = await buildImages(bench);
  const registry = await serveImages(pairs.flatMap(({ composed, few }) => [composed, few]));
  const clients = PULL_CLIENTS.filter(({ missing }) => missing === null);
  try {
    const cases = clients.flatMap((client) =>
      pairs.flatMap(({ composed, few }) =>
        [composed, few].map((image): readonly [string, Measure<Sample>] => [
          caseName(client, image),
          (round) => {
            const storage = join(bench.scratch, `${client.name}-${round}`);
            return client.pull(`${registry.host}/${image.repository}:latest`, storage);
          },
        ]),
      ),
    );
    const samples = await interleave(cases, bench.rounds);
    const rows = PULL_CLIENTS.flatMap((client) =>
      pairs.map((pair) => describe(client, pair, samples)),
    );
    return {
      name: "pulls",
      title: "pull and unpack of the composed 10-package image against the same in 8 layers",
      tables: [rows],
      bars: rows.map(({ client, form, "x 8 layers": ratio }) => {
        const measured = typeof ratio === "number" ? ratio : null;
        return bar(`pull, ${client} ${form}: over 8 layers`, measured, "at most", LIMIT, "x");
      }),
      notes: PULL_CLIENTS.flatMap(({ name, missing }) =>
        missing === null ? [] : [`${name} was not measured: ${missing}`],
      ),
    };
  } finally {
    registry.close();
  }
}

async function buildImages(bench: Workbench): Promise<readonly ImagePair[]> {
  const origin = await startOrigin(bench.env, join(bench.scratch, "pulls"));
  try {
    const pairs: ImagePair[] = [];
    for (const form of FORMS) {
      const pulled = await pullManifest(origin.url, UNPACKED_IMAGE, `oci-${form}`);
      const directory = join(bench.scratch, `few-${form}`);
      const configPath = join(bench.scratch, `config-${form}`);
      const { digest } = pulled.manifest.config;
      await writeFile(configPath, await pullBlob(origin.url, UNPACKED_IMAGE, digest));
      const { storagePath } = origin;
      const parts = { form, configPath, directory };
      pairs.push({
        form,
        composed: composedImage(`composed-${form}`, storagePath, pulled, configPath),
        few: await fewLayersImage(`few-${form}`, storagePath, pulled, parts),
      });
    }
    return pairs;
  } finally {
    await origin.stop();
  }
}

function describe(
  client: PullClient,
  { form, composed, few }: ImagePair,
  samples: ReadonlyMap<string, readonly Sample[]>,
): Row {
  const of = (image: StaticImage) => samples.get(caseName(client, image)) ?? [];
  const wall = (image: StaticImage) => of(image).map((sample) => sample.wallSeconds);
  const cpu = (image: StaticImage) => of(image).map((sample) => sample.cpuSeconds);
  const isMeasured = of(composed).length > 0;
  const ratio = compare(wall(composed), wall(few));
  return {
    client: client.name,
    form,
    // Without the config.
    layers: composed.blobs.size - 1,
    "wall s": isMeasured ? median(wall(composed)) : null,
    "8 layers wall s": isMeasured ? median(wall(few)) : null,
    "x 8 layers": isMeasured ? ratio.ratio : null,
    range: isMeasured ? ratio.range : "-",
    "cpu s": isMeasured ? median(cpu(composed)) : null,
    "8 layers cpu s": isMeasured ? median(cpu(few)) : null,
  };
}

function caseName({ name }: PullClient, { repository }: StaticImage): string {
  return `${name} ${repository}`;
}
