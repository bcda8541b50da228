// Images of real derivations, from name to stored layers, through the origin as it is started.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parseStoredJson } from "../../../origin/storage/stored-json.ts";
import { parseFound } from "../../../registry/image/lookup.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, startHouse } from "../house.ts";

const limit = { timeout: 60_000 };
const atEnd = endOfFile();
let setPath: string;

beforeAll(async () => {
  setPath = await plantSet(atEnd);
});

async function fresh(onEnd: Ending, set = setPath): Promise<House> {
  return startHouse(onEnd, set, await temporaryDirectory(onEnd));
}

/** The same state, served by a new process's worth of origin. */
async function restart(onEnd: Ending, house: House): Promise<House> {
  await house.origin.close();
  return startHouse(onEnd, setPath, house.statePath);
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const sharesOf = (house: House) =>
  house.packed().filter((paths) => paths.some((path) => path.endsWith("-shared-1.0")));

async function damageFile(path: string, offsetBytes: number, sizeBytes: number): Promise<void> {
  const bytes = await readFile(path);
  for (let at = offsetBytes; at < offsetBytes + sizeBytes; at += 1) bytes[at] = ~(bytes[at] ?? 0);
  await writeFile(path, bytes);
}

describe("a first pull", limit, () => {
  test("answers a manifest of which every layer and the config are there", async () => {
    const house = await fresh(onTestFinished);
    const { digest, pin, manifest } = await house.pull("hello/sh");
    expect(pin).toMatch(/^path-[0-9a-f]{64}$/);
    for (const descriptor of [manifest.config, ...manifest.layers]) {
      const response = await house.request(`/v2/x/blobs/${descriptor.digest}`);
      expect(response.status).toBe(200);
      const bytes = await response.bytes();
      expect(bytes).toHaveLength(descriptor.size);
      expect(sha256(bytes)).toBe(descriptor.digest);
    }
    const config = await (await house.request(`/v2/x/blobs/${manifest.config.digest}`)).json();
    const { config: run, rootfs } = config as {
      config: { Cmd: string[]; Labels: Record<string, string> };
      rootfs: { diff_ids: string[] };
    };
    expect(run.Cmd).toStrictEqual(["/bin/sh"]);
    expect(run.Labels["nixport.packages"]).toBe("nss-cacert-1.0 hello-1.0 iana-etc-1.0 sh-1.0");
    expect(rootfs.diff_ids).toHaveLength(manifest.layers.length);
    const byDigest = await house.request(`/v2/x/manifests/${digest}`);
    expect(sha256(await byDigest.bytes())).toBe(digest);
  });

  test("asks Nix once for all names, and realises all in one process", async () => {
    const house = await fresh(onTestFinished);
    await house.pull("hello/hullo/sh/nested.inner/tools");
    expect(house.started.filter((each) => /instantiate|realise/.test(each))).toStrictEqual([
      ...["nix-instantiate --eval", "nix-store --realise"],
    ]);
  });

  test("packs what several of its packages need once", async () => {
    const house = await fresh(onTestFinished);
    await house.pull("hello/hullo");
    expect(sharesOf(house)).toHaveLength(1);
    expect(sharesOf(house)[0]?.length).toBe(1);
    await house.pull("nested.inner");
    expect(sharesOf(house)).toHaveLength(1);
  });

  test("asked for by many at once is worked on once", async () => {
    const house = await fresh(onTestFinished);
    const names = ["hello/sh", "sh/hello", "hello/sh", "hello/sh/hello", "hello/sh"];
    const pulled = await Promise.all(names.map((name) => house.pull(name)));
    expect(new Set(pulled.map(({ digest }) => digest)).size).toBe(1);
    expect(house.started.filter((each) => /realise/.test(each))).toHaveLength(1);
    expect(house.started.filter((each) => /instantiate/.test(each))).toHaveLength(1);
    const packed = house.packed().map(String);
    expect(new Set(packed).size).toBe(packed.length);
  });

  test("of other images at the same time makes what they share once", async () => {
    const house = await fresh(onTestFinished);
    await Promise.all(
      ["hello", "hullo", "hello/hullo", "nested.inner"].map((each) => house.pull(each)),
    );
    expect(sharesOf(house)).toHaveLength(1);
    const realised = house.started.filter((each) => /realise/.test(each));
    expect(realised.length, String(realised)).toBeLessThanOrEqual(4);
  });

  test("gives the digest that any other origin gives", async () => {
    const [one, other] = [await fresh(onTestFinished), await fresh(onTestFinished)];
    for (const name of ["hello/sh", "tools"]) {
      expect(await one.pull(name)).toStrictEqual(await other.pull(name));
    }
  });
});

describe("a later pull", limit, () => {
  test("starts no process and packs nothing, before and after a restart", async () => {
    const house = await fresh(onTestFinished);
    const first = await house.pull("hello/sh");
    house.forget();
    expect(await house.pull("hello/sh")).toStrictEqual(first);
    const restarted = await restart(onTestFinished, house);
    expect(await restarted.pull("sh/hello")).toStrictEqual(first);
    for (const { started, packed } of [house, restarted]) {
      expect(started).toStrictEqual([]);
      expect(packed()).toStrictEqual([]);
    }
  });

  test("of packages that were pulled apart starts no process and packs nothing", async () => {
    const house = await fresh(onTestFinished);
    for (const name of ["hello", "hullo", "sh"]) await house.pull(name);
    house.forget();
    const { manifest } = await house.pull("hello/hullo/sh");
    expect(house.started).toStrictEqual([]);
    expect(house.packed()).toStrictEqual([]);
    expect(new Set(manifest.layers.map(({ digest }) => digest)).size).toBe(manifest.layers.length);
  });

  test("in another form packs again, builds nothing, and keeps the config", async () => {
    const house = await fresh(onTestFinished);
    const zstd = await house.pull("hello");
    house.forget();
    const gzip = await house.pull("hello", {
      Accept: "application/vnd.docker.distribution.manifest.v2+json",
    });
    expect(gzip.manifest.config.digest).toBe(zstd.manifest.config.digest);
    expect(gzip.digest).not.toBe(zstd.digest);
    expect(house.packed().length).toBeGreaterThan(0);
    expect(house.started.some((each) => /instantiate/.test(each))).toBe(false);
  });

  const losses = ["layers", "records", "lookups", "builds", "manifests", "pins", "answered"];
  test.for(losses)("gives the same image after %s/ was deleted", async (collection) => {
    const house = await fresh(onTestFinished);
    const before = await house.pull("hello/sh");
    // A minute later it is another pull's, which has it kept.
    house.pass(60_000);
    await house.pull("hello/sh");
    await house.origin.close();
    await rm(join(house.statePath, "origin", collection), { recursive: true });
    const restarted = await restart(onTestFinished, house);
    const again = await restarted.pull("hello/sh");
    expect(again).toStrictEqual(before);
    for (const { digest } of [again.manifest.config, ...again.manifest.layers]) {
      const head = await restarted.request(`/v2/x/blobs/${digest}`, { method: "HEAD" });
      expect(head.status, digest).toBe(200);
    }
  });

  test("makes a record again whose layer was deleted, and only that", async () => {
    const house = await fresh(onTestFinished);
    const before = await house.pull("hello/sh");
    const [shared] = house.lines.filter(
      ({ msg, storePaths }) => msg === "packed" && /-shared-1\.0/.test(String(storePaths)),
    );
    const hex = String(shared?.digest).slice("sha256:".length);
    await house.origin.close();
    await rm(join(house.statePath, "origin", "layers", hex));
    const restarted = await restart(onTestFinished, house);
    expect(await restarted.pull("hello/sh")).toStrictEqual(before);
    expect(restarted.packed().length).toStrictEqual(1);
    expect(sharesOf(restarted)).toHaveLength(1);
  });

  test.for([0, 1])(
    "joins stored segments unless they are damaged: %s bytes of each",
    async (damage) => {
      const house = await fresh(onTestFinished);
      const before = await house.pull("hello/sh");
      await house.origin.close();
      const root = join(house.statePath, "origin");
      for (const collection of ["records", "builds"]) {
        await rm(join(root, collection), { recursive: true });
      }
      for (const entry of await readdir(join(root, "segments"), {
        withFileTypes: true,
        recursive: true,
      })) {
        if (!entry.isFile()) continue;
        const { layer, offsetBytes } = parseStoredJson(
          await readFile(join(entry.parentPath, entry.name)),
        ) as { layer: string; offsetBytes: number };
        const file = join(root, "layers", layer.slice("sha256:".length));
        await damageFile(file, offsetBytes, damage);
      }
      const restarted = await restart(onTestFinished, house);
      expect(await restarted.pull("hello/sh")).toStrictEqual(before);
      const packed = restarted.lines.filter(({ msg }) => msg === "packed");
      expect(packed.length).toBeGreaterThan(0);
      for (const { joined, storePaths } of packed) {
        expect(joined).toBe(damage === 0 ? (storePaths as string[]).length : 0);
      }
      for (const { digest } of before.manifest.layers) {
        const response = await restarted.request(`/v2/x/blobs/${digest}`);
        expect(sha256(await response.bytes())).toBe(digest);
      }
    },
  );

  test("makes again what the storage cannot read", async () => {
    const house = await fresh(onTestFinished);
    const before = await house.pull("hello");
    await house.origin.close();
    for (const collection of ["records", "lookups", "builds", "pins"]) {
      const folder = join(house.statePath, "origin", collection);
      for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
        if (entry.isFile()) await writeFile(join(entry.parentPath, entry.name), "{");
      }
    }
    const restarted = await restart(onTestFinished, house);
    expect(await restarted.pull("hello")).toStrictEqual(before);
  });

  test("evaluates again when derivation and output were collected", async () => {
    const set = await plantSet(onTestFinished);
    const house = await fresh(onTestFinished, set);
    const before = await house.pull("hello");
    const [pin = ""] = await readdir(join(house.statePath, "origin/lookups"));
    const [system = ""] = await readdir(join(house.statePath, "origin/lookups", pin));
    const file = join(house.statePath, "origin/lookups", pin, system, "hello");
    const found = parseFound(parseStoredJson(await readFile(file)));
    assert(found?.kind === "found");
    await house.origin.close();
    await rm(join(house.statePath, "origin", "records"), { recursive: true });
    for (const path of [...found.outputs.map((output) => output.path), found.derivation]) {
      execFileSync("nix-store", ["--delete", path], { stdio: "pipe" });
    }
    const again = await startHouse(onTestFinished, set, house.statePath);
    expect(await again.pull("hello")).toStrictEqual(before);
    expect(again.started.some((each) => /instantiate/.test(each))).toBe(true);
    expect(again.packed()).toStrictEqual([]);
  });
});
