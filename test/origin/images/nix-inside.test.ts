// An image with Nix in it has one layer more, which depends on all that is in the image: everything else is
// shared with other images, and nothing is believed of it that only its packages' own records say.

import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Ending, endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, type Pulled, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";
import { readTar, unzstd } from "../layers/fixture.ts";

const limit = { timeout: 60_000 };
const atEnd = endOfFile();
let setPath: string;

beforeAll(async () => {
  const set = await plantSet(atEnd);
  setPath = await temporaryDirectory(atEnd);
  await writeFile(
    join(setPath, "default.nix"),
    `let
      set = import ${set};
      script = name: script: derivation {
        inherit name; inherit (set.hello) system builder PATH; args = [ "-c" script ]; salt = "${setPath}";
      };
    in set // {
      nix = set.tools // { meta.mainProgram = "nix"; };
      failing = script "failing-1.0" "echo this went wrong >&2; exit 7";
      unpackable = script "unpackable-1.0" "mkdir $out; echo > $out/.wh.file";
    }`,
  );
});

async function fresh(onEnd: Ending): Promise<House> {
  return startHouse(onEnd, setPath, await temporaryDirectory(onEnd));
}

const digestsOf = ({ manifest }: Pulled) => manifest.layers.map(({ digest }) => digest);

async function entriesOf(house: House, digest: string) {
  const response = await house.request(`/v2/x/blobs/${digest}`);
  return readTar(unzstd(Buffer.from(await response.bytes())));
}

/** The layer that holds the database, and what is in it. */
async function databaseOf(house: House, pulled: Pulled) {
  for (const digest of digestsOf(pulled).toReversed()) {
    const entries = await entriesOf(house, digest);
    const file = entries.find(({ name }) => name === "nix/var/nix/db/db.sqlite");
    if (file === undefined) continue;
    using database = new DatabaseSync(":memory:");
    database.deserialize(file.content);
    const paths = database
      .prepare("SELECT path FROM ValidPaths")
      .all()
      .map(({ path }) => path);
    return { digest, entries, paths };
  }
  assert.fail("no layer holds a database");
}

describe("an image with Nix in it", limit, () => {
  test("has one layer more, and shares the others", async () => {
    const house = await fresh(onTestFinished);
    const apart = [await house.pull("hello"), await house.pull("nix")];
    const together = await house.pull("hello/nix");
    const known = new Set(apart.flatMap(digestsOf));
    const { digest } = await databaseOf(house, together);
    expect(digestsOf(together).filter((each) => !known.has(each))).toStrictEqual([digest]);
    expect((await databaseOf(house, apart[1] ?? expect.unreachable())).digest).not.toBe(digest);
  });

  test("knows every store path, and holds every output", async () => {
    const house = await fresh(onTestFinished);
    const pulled = await house.pull("hello/nix");
    const { paths, entries } = await databaseOf(house, pulled);
    const layers = await Promise.all(digestsOf(pulled).map((digest) => entriesOf(house, digest)));
    const held = layers.flatMap((layer) =>
      layer.flatMap(({ name }) => /^nix\/store\/[^./][^/]*/.exec(name)?.[0] ?? []),
    );
    expect(paths.sort()).toStrictEqual([...new Set(held.map((path) => `/${path}`))].sort());
    const roots = entries.flatMap(({ name, linkname }) =>
      name.startsWith("nix/var/nix/gcroots/nixport/") ? (linkname ?? []) : [],
    );
    const outputs = [/-hello-1\.0$/, /-iana-etc-1\.0$/, /-nss-cacert-1\.0$/, /-tools-1\.0$/];
    expect(roots).toHaveLength(outputs.length);
    for (const output of outputs) expect(roots.some((root) => output.test(root))).toBe(true);
  });

  test("has the same database in every form, and after its layer was lost", async () => {
    const house = await fresh(onTestFinished);
    const zstd = await house.pull("hello/nix");
    const { digest } = await databaseOf(house, zstd);
    const gzip = await house.pull("hello/nix", { "User-Agent": "curl/8" });
    expect(gzip.manifest.config.digest).toBe(zstd.manifest.config.digest);
    await house.origin.close();
    const hex = digest.slice("sha256:".length);
    await rm(join(house.statePath, "origin/layers", hex));
    const again = await startHouse(onTestFinished, setPath, house.statePath);
    const response = await again.request(`/v2/x/blobs/${digest}`);
    expect(response.status).toBe(200);
    await response.body?.cancel();
    expect(await readFile(join(house.statePath, "origin/layers", hex))).not.toHaveLength(0);
  });

  test.for([
    ["failing", /^failing cannot be built/],
    ["unpackable", /^unpackable .*\.wh\.file has a name/],
  ] as const)(
    "says of %s once why there is no image, and stores nothing of it",
    async ([name, why]) => {
      const house = await fresh(onTestFinished);
      const path = `/v2/${REPOSITORY_PREFIX}hello/nix/${name}/manifests/latest`;
      const response = await house.request(path);
      const { errors } = (await response.json()) as {
        errors: [{ message: string; detail: readonly { package: string }[] }];
      };
      expect(response.status).toBe(404);
      expect(errors[0].message).toMatch(why);
      expect(errors[0].detail.map((each) => each.package)).toStrictEqual([name]);
      const lookups = await readdir(join(house.statePath, "origin/lookups"), { recursive: true });
      expect(lookups.filter((each) => each.endsWith(`/${name}`))).toStrictEqual([]);
    },
  );
});
