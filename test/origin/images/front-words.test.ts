// What front words make of an image at the origin: one image for all orders, and what it says where the
// set lacks what a word needs.

import { readdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { skipWhere } from "../../skip-where.ts";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { LOADER, plantFrontSet } from "../front-set.ts";
import { type House, REPOSITORY_PREFIX, startHouse } from "../house.ts";
import { hidesHost } from "../nix/sandbox-shell.ts";

interface ConfigJson {
  readonly config: {
    readonly Env: readonly string[];
    readonly User?: string;
    readonly Labels: Readonly<Record<string, string>>;
  };
  readonly history: readonly { readonly created_by: string }[];
}

const limit = { timeout: 180_000 };
const atEnd = endOfFile();
const set = await realpath(await plantFrontSet(atEnd));

async function start(path: string): Promise<House> {
  return startHouse(onTestFinished, path, await temporaryDirectory(onTestFinished));
}

async function configOf(house: House, name: string): Promise<ConfigJson> {
  const { manifest } = await house.pull(name);
  const path = `/v2/${REPOSITORY_PREFIX}${name}/blobs/${manifest.config.digest}`;
  return (await (await house.request(path)).json()) as ConfigJson;
}

describe("front words", { ...limit, ...skipWhere(hidesHost) }, () => {
  let house: House;
  let statePath: string;
  beforeAll(async () => {
    statePath = await temporaryDirectory(atEnd);
    house = await startHouse(atEnd, set, statePath);
  });

  test("have one image in any order", async () => {
    const { digest } = await house.pull("shell/fhs/unix/nonroot/hello");
    for (const name of [
      "nonroot/unix/fhs/shell/hello",
      "unix/shell/nonroot/fhs/hello/gzip",
      "fhs/nonroot/shell/unix/unix/hello",
    ]) {
      expect((await house.pull(name)).digest, name).toBe(digest);
    }
    for (const name of ["shell/fhs/unix/hello", "shell/unix/nonroot/hello", "fhs/nonroot/hello"]) {
      expect((await house.pull(name)).digest, name).not.toBe(digest);
    }
  });

  test("share the layers of what they bring with every image of theirs", async () => {
    await house.pull("unix/fhs/hello");
    house.forget();
    await house.pull("nonroot/fhs/unix/hullo");
    expect(house.packed().map((paths) => paths.map((path) => path.slice(44)))).toStrictEqual([
      ["hullo-1.0"],
    ]);
  });

  test("say in the config what is needed to run as they promise", async () => {
    const { config, history } = await configOf(house, "fhs/nonroot/hello");
    expect(config.Env).toContain("NIX_LD=/lib/ld.so");
    expect(config.User).toBe("65532:65532");
    const recipe = `${REPOSITORY_PREFIX}fhs/nonroot/cacert/hello/iana-etc`;
    expect(config.Labels["nixport.recipe"]).toBe(recipe);
    const top = history.at(-1)?.created_by.replaceAll(/\/nix\/store\/\w{32}-/g, "");
    const folder = LOADER.includes("x86") ? "/lib64" : "/lib";
    expect(top).toBe(
      `nixport ${folder}/${LOADER} -> nix-ld-1.0/libexec/nix-ld, /lib/ld.so -> glibc-1.0/lib/${LOADER}, /run/current-system/sw/share/nix-ld/lib -> /lib, /usr/bin -> ../bin, /usr/lib64 -> ../lib`,
    );
  });

  test("need no Nix once their packages are known, whatever outputs they name", async () => {
    const { digest } = await house.pull("fhs/hello");
    await house.origin.close();
    const restarted = await startHouse(onTestFinished, set, statePath);
    expect((await restarted.pull("fhs/hello")).digest).toBe(digest);
    expect(restarted.started).toStrictEqual([]);
    const [pin = ""] = await readdir(join(statePath, "origin/lookups"));
    const systems = await readdir(join(statePath, "origin/lookups", pin));
    const names = await readdir(join(statePath, "origin/lookups", pin, systems[0] ?? ""));
    expect(names).toContain("glibc.out");
  });
});

describe("a set without what a word needs", { ...limit, ...skipWhere(hidesHost) }, () => {
  const refusal = async (house: House, name: string) => {
    const response = await house.request(`/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`);
    const { errors } = (await response.json()) as {
      errors: [{ message: string; detail: readonly Record<string, unknown>[] }];
    };
    return { status: response.status, ...errors[0] };
  };
  const lacking = async (attributes: readonly string[]) => {
    const folder = await temporaryDirectory(onTestFinished);
    const names = attributes.map((name) => JSON.stringify(name)).join(" ");
    await writeFile(join(folder, "default.nix"), `removeAttrs (import ${set}) [ ${names} ]`);
    return await start(folder);
  };

  test("says which attributes are missing, and for which word", async () => {
    const house = await lacking(["nix-ld", "stdenv", "less"]);
    const { status, message, detail } = await refusal(house, "fhs/hello");
    expect(status).toBe(404);
    expect(message).toBe(
      "no package nix-ld (needed by fhs)\nno package stdenv.cc.cc.lib (needed by fhs)",
    );
    expect(detail).toStrictEqual([
      { package: "nix-ld", reason: "missing", near: [], neededBy: "fhs" },
      { package: "stdenv.cc.cc.lib", reason: "missing", near: [], neededBy: "fhs" },
    ]);
    // Who names it meant it, and may have meant another.
    expect((await refusal(house, "fhs/nix-ld")).message).toMatch(/^no package nix-ld(?! \(needed)/);
    expect((await refusal(house, "unix/hello")).message).toMatch(/^no package less\b/);
    await house.pull("nonroot/hello");
  });

  test("says what a package lacks that is not what it is called", async () => {
    const path = await realpath(await plantFrontSet(onTestFinished, "{ nix-ld = coreutils; }"));
    const { status, message, detail } = await refusal(await start(path), "fhs/hello");
    expect(status).toBe(404);
    expect(message).toMatch(
      /^nix-ld \(needed by fhs\) cannot be put into a layer: \S+-coreutils-1\.0 has no libexec\/nix-ld, which fhs needs$/,
    );
    expect(detail).toMatchObject([{ package: "nix-ld", reason: "unpackable", neededBy: "fhs" }]);
  });

  test("says once what does not build, however many need it", async () => {
    const broken = '{ coreutils = make "coreutils-1.0" [ "out" ] "echo gone wrong; exit 3"; }';
    const path = await realpath(await plantFrontSet(onTestFinished, broken));
    const { message, detail } = await refusal(await start(path), "fhs/coreutils/hello");
    expect(message).toMatch(/^coreutils cannot be built: .*\n {2}gone wrong$/s);
    expect(detail).toHaveLength(1);
  });
});
