// Images of real derivations, from name to stored layers, through the origin as it is started.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, type TestContext, test } from "node:test";
import { endOfFile, temporaryDirectory } from "./fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "./house.ts";

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

async function errorOf(
  response: Response,
): Promise<{ code: string; message: string; detail?: unknown }> {
  const body = (await response.json()) as {
    errors: [{ code: string; message: string; detail?: unknown }];
  };
  return body.errors[0];
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

describe("a package that cannot be had", limit, () => {
  const get = (house: House, name: string) =>
    house.request(`/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`);

  const rows: readonly [name: string, message: RegExp][] = [
    ["helo/sh", /^no package helo \(did you mean hello/],
    ["nested", /^nested is a .*not a package \(did you mean nested\.Inner/],
    ["throwing/sh", /^throwing cannot be evaluated: it was renamed to hello/],
    ["nosuch/helo/sh", /^no package helo .*\nno package nosuch/],
    [
      "failing/sh",
      /^failing cannot be built: .*-failing-1\.0\.drv.*exit code 7.*\n {2}this went wrong$/,
    ],
  ];
  for (const [name, message] of rows) {
    test(`makes ${name} MANIFEST_UNKNOWN, and says why`, async (t) => {
      const response = await get(await fresh(t), name);
      assert.equal(response.status, 404);
      const error = await errorOf(response);
      assert.equal(error.code, "MANIFEST_UNKNOWN");
      assert.match(error.message, message);
    });
  }

  test("is named with every other one that cannot be built", async (t) => {
    const response = await get(await fresh(t), "failing/hello/failing-too/sh");
    assert.equal(response.status, 404);
    const { message, detail } = await errorOf(response);
    assert.deepEqual(
      (detail as { package: string; reason: string }[]).map((each) => [each.package, each.reason]),
      [
        ["failing", "build-failed"],
        ["failing-too", "build-failed"],
      ],
    );
    assert.match(
      message,
      /^failing cannot be built: .*exit code 7.*^failing-too cannot be built: .*exit code 8/ms,
    );
  });

  test("keeps nobody from the others, whose records are kept", async (t) => {
    const house = await fresh(t);
    assert.equal((await get(house, "failing/hello/sh")).status, 404);
    assert(house.packed().length > 0);
    house.forget();
    await house.pull("hello/sh");
    assert.deepEqual(house.started, []);
    assert.deepEqual(house.packed(), []);
  });

  test("is asked of Nix once when it is missing, and again when it did not evaluate", async (t) => {
    const house = await fresh(t);
    const evaluations = async (name: string) => {
      house.forget();
      await (await get(house, name)).body?.cancel();
      return house.started.filter((each) => /instantiate/.test(each)).length;
    };
    assert((await evaluations("nosuch")) > 0);
    assert.equal(await evaluations("nosuch"), 0);
    assert((await evaluations("throwing")) > 0);
    assert((await evaluations("throwing")) > 0);
  });

  test("leaves no manifest and no lookup behind", async (t) => {
    const house = await fresh(t);
    await (await get(house, "failing")).body?.cancel();
    const storage = await readdir(join(house.statePath, "origin"));
    assert(!storage.includes("manifests"), String(storage));
    const lookups = await readdir(join(house.statePath, "origin/lookups"), {
      recursive: true,
    }).catch(() => []);
    assert(!lookups.some((each) => each.endsWith("failing")), String(lookups));
  });
});
