// What the origin keeps of images: nothing of those pulled once, which it composes again for whoever has
// their digest; manifests and configs of those that another pull asked for.

import { createHash } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parseSecretKeys, signRequest } from "../../../registry/between/token.ts";
import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, startHouse } from "../house.ts";
import { SHELL_BUILDER } from "../nix/sandbox-shell.ts";

const limit = { timeout: 60_000 };
const TAKES_INDEX = { Accept: `${OCI_MANIFEST}, ${OCI_INDEX}` };
const SECRET = "a secret of these tests";
const NAMES = ["p1", "p2", "p3", "p4"];
const atEnd = endOfFile();
let setPath: string;

/** Text, so that any machine builds it for any platform. */
function packageSet(salt: string, edition: string): string {
  return `{ system }: let
    text = name: derivation {
      name = "\${name}-1.0"; system = builtins.currentSystem; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
      salt = "${salt}"; for = system; edition = if name == "p1" then "${edition}" else "";
      args = [ "-c" "mkdir -p $out/bin; echo $for $edition > $out/bin/\${name}" ];
    } // { inherit system; version = "1.0"; };
  in builtins.listToAttrs (map (name: { inherit name; value = text name; }) [
    "cacert" "iana-etc" ${NAMES.map((name) => JSON.stringify(name)).join(" ")}
  ]) // (if system == "x86_64-linux" then { intel-only = text "intel-only"; } else { })`;
}

const writeSet = (edition: string) =>
  writeFile(join(setPath, "default.nix"), packageSet(setPath, edition));

beforeAll(async () => {
  setPath = await temporaryDirectory(atEnd);
  await writeSet("");
});

async function open(onEnd: Ending, statePath?: string): Promise<House> {
  const settings = { NIXPORT_PLATFORMS: "linux/amd64,linux/arm64", NIXPORT_SECRET: SECRET };
  return startHouse(onEnd, setPath, statePath ?? (await temporaryDirectory(onEnd)), settings);
}

/** The same state, served by another process's worth of origin. */
async function restart(onEnd: Ending, house: House): Promise<House> {
  await house.origin.close();
  return open(onEnd, house.statePath);
}

interface Got {
  readonly digest: string;
  readonly bytes: Uint8Array;
  readonly json: {
    readonly config: { readonly digest: string };
    readonly manifests: readonly { readonly digest: string }[];
  };
}

async function get(
  house: House,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Got> {
  const response = await house.request(path, { headers });
  const bytes = await response.bytes();
  const text = new TextDecoder().decode(bytes);
  expect(response.status, text).toBe(200);
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  expect(response.headers.get("Docker-Content-Digest")).toBe(digest);
  return { digest, bytes, json: JSON.parse(text) };
}

const tagged = (name: string) => `/v2/${name}/manifests/latest`;

async function filesOf(house: House, collection = ""): Promise<readonly string[]> {
  const root = join(house.statePath, "origin", collection);
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(root.length))
    .sort();
}

async function status(house: House, path: string): Promise<number> {
  const response = await house.request(path);
  await response.body?.cancel();
  return response.status;
}

describe("an image that is pulled once", limit, () => {
  test("leaves nothing but what it is composed of, however many combinations there are", async () => {
    const house = await open(onTestFinished);
    for (const name of NAMES) await get(house, tagged(`amd64/${name}`));
    const before = await filesOf(house);
    expect(await filesOf(house, "manifests")).toStrictEqual([]);
    for (let some = 1; some < 2 ** NAMES.length; some++) {
      const name = `amd64/${NAMES.filter((_, place) => some & (1 << place)).join("/")}`;
      const { digest, json } = await get(house, tagged(name));
      await get(house, `/v2/${name}/manifests/${digest}`);
      await get(house, `/v2/${name}/blobs/${json.config.digest}`);
    }
    expect(await filesOf(house)).toStrictEqual(before);
  });

  test("is composed again for its digest and its config's, by a process that never saw it", async () => {
    const house = await open(onTestFinished);
    const name = "amd64/p1/p2";
    const zstd = await get(house, tagged(name));
    const docker = await get(house, tagged(name), { Accept: DOCKER_MANIFEST });
    const old = await restart(onTestFinished, house);
    for (const { digest, bytes } of [zstd, docker]) {
      const again = await get(old, `/v2/${name}/manifests/${digest}`);
      expect(again.bytes).toStrictEqual(bytes);
    }
    const another = await restart(onTestFinished, old);
    const config = `blobs/${zstd.json.config.digest}`;
    expect((await get(another, `/v2/amd64/p2/p1/${config}`)).digest).toBe(zstd.json.config.digest);
    const range = await another.request(`/v2/${name}/${config}`, {
      headers: { Range: "bytes=0-0" },
    });
    expect([range.status, await range.text()]).toStrictEqual([206, "{"]);
    expect(another.started, "Nix was not asked").toStrictEqual([]);
    expect(await filesOf(another, "manifests")).toStrictEqual([]);
  });

  test("is found at the revision before as well", async () => {
    const house = await open(onTestFinished);
    onTestFinished(() => writeSet(""));
    const first = await get(house, tagged("amd64/p1"));
    await writeSet("second");
    const second = await get(house, tagged("amd64/p1"));
    expect(second.digest).not.toBe(first.digest);
    const restarted = await restart(onTestFinished, house);
    for (const { digest, bytes } of [first, second]) {
      const again = await get(restarted, `/v2/amd64/p1/manifests/${digest}`);
      expect(again.bytes).toStrictEqual(bytes);
    }
    // Who knows the first by its digest had it before: it shall be there when that revision is forgotten.
    expect(await filesOf(restarted, "manifests")).toStrictEqual([
      `/${first.digest.slice("sha256:".length)}`,
    ]);
  });

  test.for([
    ["another name's", "amd64/p2", (got: Got) => `manifests/${got.digest}`],
    ["a name's that nobody asked for", "amd64/nothing", (got: Got) => `manifests/${got.digest}`],
    [
      "a config asked for as a manifest",
      "amd64/p1",
      (got: Got) => `manifests/${got.json.config.digest}`,
    ],
    ["a manifest asked for as a blob", "amd64/p1", (got: Got) => `blobs/${got.digest}`],
  ] as const)("is 404 by a digest that is %s", async ([title, name, path]) => {
    const house = await open(onTestFinished);
    const got = await get(house, tagged("amd64/p1"));
    // By a process that has it in memory, and by one that has not.
    const known = title.includes("asked for as") ? [house] : [];
    for (const each of known) expect(await status(each, `/v2/${name}/${path(got)}`)).toBe(404);
    const restarted = await restart(onTestFinished, house);
    expect(await status(restarted, `/v2/${name}/${path(got)}`)).toBe(404);
    expect(restarted.started).toStrictEqual([]);
  });

  test("is in an index that is composed again, and says what the index lacks", async () => {
    const house = await open(onTestFinished);
    const whole = await get(house, tagged("p1/p3"), TAKES_INDEX);
    const part = await get(house, tagged("p1/intel-only"), TAKES_INDEX);
    expect([whole, part].map(({ json }) => json.manifests.length)).toStrictEqual([2, 1]);
    const restarted = await restart(onTestFinished, house);
    for (const [name, { digest, bytes, json }] of [
      ["p1/p3", whole],
      ["p1/intel-only", part],
    ] as const) {
      const again = await get(restarted, `/v2/${name}/manifests/${digest}`);
      expect(again.bytes).toStrictEqual(bytes);
      for (const child of json.manifests) {
        await get(restarted, `/v2/${name}/manifests/${child.digest}`);
      }
    }
    expect(restarted.started).toStrictEqual([]);
    expect(await filesOf(restarted, "manifests")).toStrictEqual([]);
  });
});

describe("an image that is pulled again", limit, () => {
  test("is composed again where its manifest is damaged", async () => {
    const house = await open(onTestFinished);
    const { digest } = await get(house, tagged("amd64/p1/p2"));
    house.pass(60_000);
    await get(house, tagged("amd64/p1/p2"));
    const [file = ""] = await filesOf(house, "manifests");
    await writeFile(join(house.statePath, "origin/manifests", file), "{}");
    const restarted = await restart(onTestFinished, house);
    // Whoever gets it compares its digest.
    await get(restarted, `/v2/amd64/p1/p2/manifests/${digest}`);
  });

  const rows: readonly (readonly [title: string, afterMs: number, count: number])[] = [
    ["in the same minute", 59_000, 0],
    ["a minute later", 60_000, 1],
    ["a day later", 86_400_000, 0],
  ];
  test.for(rows)("is kept or not: %s", async ([, afterMs, count]) => {
    const house = await open(onTestFinished);
    const { digest, json } = await get(house, tagged("amd64/p1"));
    house.pass(afterMs);
    await get(house, tagged("amd64/p1"));
    const kept = await filesOf(house, "manifests");
    expect(kept).toStrictEqual(count === 0 ? [] : [`/${digest.slice("sha256:".length)}`]);
    const config = `/${json.config.digest.slice("sha256:".length)}`;
    expect((await filesOf(house, "layers")).includes(config)).toBe(count > 0);
  });

  test("by its digest is kept as well", async () => {
    const house = await open(onTestFinished);
    const { digest } = await get(house, tagged("amd64/p4"));
    const restarted = await restart(onTestFinished, house);
    for (let pulls = 0; pulls < 2; pulls++) {
      expect(await filesOf(restarted, "manifests")).toStrictEqual([]);
      await get(restarted, `/v2/amd64/p4/manifests/${digest}`);
      restarted.pass(60_000);
    }
    expect(await filesOf(restarted, "manifests")).toHaveLength(1);
    // Of a name that does not lead to it, since it is stored now.
    await get(restarted, `/v2/amd64/p3/manifests/${digest}`);
  });

  test("as an index is kept with its images", async () => {
    const house = await open(onTestFinished);
    await get(house, tagged("p1/p3"), TAKES_INDEX);
    house.pass(60_000);
    const { digest, json } = await get(house, tagged("p1/p3"), TAKES_INDEX);
    const kept = [digest, ...json.manifests.map((each) => each.digest)];
    expect(await filesOf(house, "manifests")).toStrictEqual(
      kept.map((each) => `/${each.slice("sha256:".length)}`).sort(),
    );
  });

  test.for([
    ["that its edge says it keeps is kept at once", true, 1],
    ["is not kept for whoever says so", false, 0],
  ] as const)("%s", async ([, isSigned, count]) => {
    const house = await open(onTestFinished);
    const path = tagged("amd64/p2");
    const keys = parseSecretKeys(SECRET);
    if (typeof keys === "string") throw new Error(keys);
    const token = await signRequest(keys, "edge", { method: "GET", path }, Date.now());
    const signed = isSigned ? { Authorization: `Bearer ${token}` } : {};
    await get(house, path, { ...signed, "Nixport-Kept": "1" });
    expect(await filesOf(house, "manifests")).toHaveLength(count);
  });
});
