// Images of real derivations, from name to stored layers, through the origin as it is started.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, type TestContext, test } from "node:test";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, startHouse } from "../house.ts";

const limit = { timeout: 60_000 };
const atEnd = endOfFile();
let setPath: string;

before(async () => {
  setPath = await plantSet(atEnd);
});

async function fresh(t: TestContext, set = setPath): Promise<House> {
  return startHouse(t, set, await temporaryDirectory(t));
}

/** The same state, served by a new process's worth of origin. */
async function restart(t: TestContext, house: House): Promise<House> {
  await house.origin.close();
  return startHouse(t, setPath, house.statePath);
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
  test("answers a manifest of which every layer and the config are there", async (t) => {
    const house = await fresh(t);
    const { digest, pin, manifest } = await house.pull("hello/sh");
    assert.match(pin, /^path-[0-9a-f]{64}$/);
    for (const descriptor of [manifest.config, ...manifest.layers]) {
      const response = await house.request(`/v2/x/blobs/${descriptor.digest}`);
      assert.equal(response.status, 200);
      const bytes = await response.bytes();
      assert.equal(bytes.length, descriptor.size);
      assert.equal(sha256(bytes), descriptor.digest);
    }
    const config = await (await house.request(`/v2/x/blobs/${manifest.config.digest}`)).json();
    const { config: run, rootfs } = config as {
      config: { Cmd: string[]; Labels: Record<string, string> };
      rootfs: { diff_ids: string[] };
    };
    assert.deepEqual(run.Cmd, ["/bin/sh"]);
    assert.equal(run.Labels["nixport.packages"], "nss-cacert-1.0 hello-1.0 iana-etc-1.0 sh-1.0");
    assert.equal(rootfs.diff_ids.length, manifest.layers.length);
    const byDigest = await house.request(`/v2/x/manifests/${digest}`);
    assert.equal(sha256(await byDigest.bytes()), digest);
  });

  test("asks Nix once for all names, and realises all in one process", async (t) => {
    const house = await fresh(t);
    await house.pull("hello/hullo/sh/nested.inner/tools");
    assert.deepEqual(
      house.started.filter((each) => /instantiate|realise/.test(each)),
      [...["nix-instantiate --eval", "nix-store --realise"]],
    );
  });

  test("packs what several of its packages need once", async (t) => {
    const house = await fresh(t);
    await house.pull("hello/hullo");
    assert.equal(sharesOf(house).length, 1);
    assert.equal(sharesOf(house)[0]?.length, 1);
    await house.pull("nested.inner");
    assert.equal(sharesOf(house).length, 1);
  });

  test("asked for by many at once is worked on once", async (t) => {
    const house = await fresh(t);
    const names = ["hello/sh", "sh/hello", "hello/sh", "hello/sh/hello", "hello/sh"];
    const pulled = await Promise.all(names.map((name) => house.pull(name)));
    assert.equal(new Set(pulled.map(({ digest }) => digest)).size, 1);
    assert.equal(house.started.filter((each) => /realise/.test(each)).length, 1);
    assert.equal(house.started.filter((each) => /instantiate/.test(each)).length, 1);
    const packed = house.packed().map(String);
    assert.equal(new Set(packed).size, packed.length);
  });

  test("of other images at the same time makes what they share once", async (t) => {
    const house = await fresh(t);
    await Promise.all(
      ["hello", "hullo", "hello/hullo", "nested.inner"].map((each) => house.pull(each)),
    );
    assert.equal(sharesOf(house).length, 1);
    const realised = house.started.filter((each) => /realise/.test(each));
    assert(realised.length <= 4, String(realised));
  });

  test("gives the digest that any other origin gives", async (t) => {
    const [one, other] = [await fresh(t), await fresh(t)];
    for (const name of ["hello/sh", "tools"]) {
      assert.deepEqual(await one.pull(name), await other.pull(name));
    }
  });
});

describe("a later pull", limit, () => {
  test("starts no process and packs nothing, before and after a restart", async (t) => {
    const house = await fresh(t);
    const first = await house.pull("hello/sh");
    house.forget();
    assert.deepEqual(await house.pull("hello/sh"), first);
    const restarted = await restart(t, house);
    assert.deepEqual(await restarted.pull("sh/hello"), first);
    for (const { started, packed } of [house, restarted]) {
      assert.deepEqual(started, []);
      assert.deepEqual(packed(), []);
    }
  });

  test("of packages that were pulled apart starts no process and packs nothing", async (t) => {
    const house = await fresh(t);
    for (const name of ["hello", "hullo", "sh"]) await house.pull(name);
    house.forget();
    const { manifest } = await house.pull("hello/hullo/sh");
    assert.deepEqual(house.started, []);
    assert.deepEqual(house.packed(), []);
    assert.equal(new Set(manifest.layers.map(({ digest }) => digest)).size, manifest.layers.length);
  });

  test("in another form packs again, builds nothing, and keeps the config", async (t) => {
    const house = await fresh(t);
    const zstd = await house.pull("hello");
    house.forget();
    const gzip = await house.pull("hello", {
      Accept: "application/vnd.docker.distribution.manifest.v2+json",
    });
    assert.equal(gzip.manifest.config.digest, zstd.manifest.config.digest);
    assert.notEqual(gzip.digest, zstd.digest);
    assert(house.packed().length > 0);
    assert(!house.started.some((each) => /instantiate/.test(each)));
  });

  const losses = ["layers", "records", "lookups", "builds", "manifests", "pins"];
  for (const collection of losses) {
    test(`gives the same image after ${collection}/ was deleted`, async (t) => {
      const house = await fresh(t);
      const before = await house.pull("hello/sh");
      await house.origin.close();
      await rm(join(house.statePath, "origin", collection), { recursive: true });
      const restarted = await restart(t, house);
      const again = await restarted.pull("hello/sh");
      assert.deepEqual(again, before);
      for (const { digest } of [again.manifest.config, ...again.manifest.layers]) {
        const head = await restarted.request(`/v2/x/blobs/${digest}`, { method: "HEAD" });
        assert.equal(head.status, 200, digest);
      }
    });
  }

  test("makes a record again whose layer was deleted, and only that", async (t) => {
    const house = await fresh(t);
    const before = await house.pull("hello/sh");
    const [shared] = house.lines.filter(
      ({ msg, storePaths }) => msg === "packed" && /-shared-1\.0/.test(String(storePaths)),
    );
    const hex = String(shared?.digest).slice("sha256:".length);
    await house.origin.close();
    await rm(join(house.statePath, "origin", "layers", hex));
    const restarted = await restart(t, house);
    assert.deepEqual(await restarted.pull("hello/sh"), before);
    assert.deepEqual(restarted.packed().length, 1);
    assert.equal(sharesOf(restarted).length, 1);
  });

  for (const damage of [0, 1]) {
    test(`joins stored segments unless they are damaged: ${damage} bytes of each`, async (t) => {
      const house = await fresh(t);
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
        const { layer, offsetBytes } = JSON.parse(
          await readFile(join(entry.parentPath, entry.name), "utf8"),
        );
        const file = join(root, "layers", layer.slice("sha256:".length));
        await damageFile(file, offsetBytes, damage);
      }
      const restarted = await restart(t, house);
      assert.deepEqual(await restarted.pull("hello/sh"), before);
      const packed = restarted.lines.filter(({ msg }) => msg === "packed");
      assert(packed.length > 0);
      for (const { joined, storePaths } of packed) {
        assert.equal(joined, damage === 0 ? (storePaths as string[]).length : 0);
      }
      for (const { digest } of before.manifest.layers) {
        const response = await restarted.request(`/v2/x/blobs/${digest}`);
        assert.equal(sha256(await response.bytes()), digest);
      }
    });
  }

  test("makes again what the storage cannot read", async (t) => {
    const house = await fresh(t);
    const before = await house.pull("hello");
    await house.origin.close();
    for (const collection of ["records", "lookups", "builds", "pins"]) {
      const folder = join(house.statePath, "origin", collection);
      for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
        if (entry.isFile()) await writeFile(join(entry.parentPath, entry.name), "{");
      }
    }
    const restarted = await restart(t, house);
    assert.deepEqual(await restarted.pull("hello"), before);
  });

  test("evaluates again when derivation and output were collected", async (t) => {
    const set = await plantSet(t);
    const house = await fresh(t, set);
    const before = await house.pull("hello");
    const [pin = ""] = await readdir(join(house.statePath, "origin/lookups"));
    const [system = ""] = await readdir(join(house.statePath, "origin/lookups", pin));
    const file = join(house.statePath, "origin/lookups", pin, system, "hello");
    const found: { derivation: string; outputs: { path: string }[] } = JSON.parse(
      await readFile(file, "utf8"),
    );
    await house.origin.close();
    for (const each of ["records", "manifests"]) {
      await rm(join(house.statePath, "origin", each), { recursive: true });
    }
    for (const path of [...found.outputs.map((output) => output.path), found.derivation]) {
      execFileSync("nix-store", ["--delete", path], { stdio: "pipe" });
    }
    const again = await startHouse(t, set, house.statePath);
    assert.deepEqual(await again.pull("hello"), before);
    assert(again.started.some((each) => /instantiate/.test(each)));
    assert.deepEqual(again.packed(), []);
  });
});
