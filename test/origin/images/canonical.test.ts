// Names that lead to the same packages are one image, of which no more is kept than of one.

import { readdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";

const atEnd = endOfFile();
const planted = await realpath(await plantSet(atEnd));
const folder = await temporaryDirectory(atEnd);
await writeFile(
  join(folder, "default.nix"),
  `let planted = import ${planted}; set = planted // { pkgs = set; "g++" = planted.hullo; nested = { inherit (planted.nested) Inner; inNER = planted.sh; }; }; in set`,
);
const statePath = await temporaryDirectory(atEnd);
const house = await startHouse(atEnd, folder, statePath);

async function recipeOf(name: string): Promise<string | undefined> {
  const { manifest } = await house.pull(name);
  const path = `/v2/${REPOSITORY_PREFIX}${name}/blobs/${manifest.config.digest}`;
  const config = (await (await house.request(path)).json()) as {
    config: { Labels: Record<string, string> };
  };
  return config.config.Labels["nixport.recipe"];
}

test("have one digest, whatever sets and outputs they walk through", async () => {
  const { digest } = await house.pull("hello");
  for (const name of ["hello.out", "pkgs.hello", "pkgs.hello.out", "hello/pkgs.hello/hello.out"]) {
    expect((await house.pull(name)).digest, name).toBe(digest);
  }
});

test("have the set's own spelling in the label", async () => {
  const platform = REPOSITORY_PREFIX;
  expect(await recipeOf("pkgs.hello.out")).toBe(`${platform}cacert/hello/iana-etc`);
  expect(await recipeOf("pkgs.nested.in--4e--45--52/sh")).toBe(
    `${platform}cacert/iana-etc/nested.inNER/sh`,
  );
  expect(await recipeOf("g--2b--2b")).toBe(`${platform}cacert/g--2b--2b/iana-etc`);
});

test("are kept for good where they say it by their letters alone", async () => {
  await house.pull("hello");
  await house.pull("pkgs.tools.doc");
  await house.pull("tools.doc");
  const pins = await readdir(join(statePath, "origin/lookups"));
  const folders = pins.map((pin) => join(statePath, "origin/lookups", pin));
  const systems = await Promise.all(
    folders.map(async (path) => (await readdir(path)).map((system) => join(path, system))),
  );
  const names = (await Promise.all(systems.flat().map((path) => readdir(path)))).flat();
  expect(names).toContain("hello");
  expect(names.filter((name) => /^pkgs|out$|doc$/.test(name))).toStrictEqual(["tools.doc"]);
});

test("are told what they mean where they go in circles, and are no image", async () => {
  for (const [name, near] of [
    ["hello.out.out", "hello.out"],
    ["pkgs.pkgs.hello", "hello"],
  ] as const) {
    const response = await house.request(`/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      errors: [
        {
          code: "MANIFEST_UNKNOWN",
          message: `no package ${name} (did you mean ${near}?)`,
          detail: [{ package: name, reason: "missing", near: [near] }],
        },
      ],
    });
  }
});

test("are an error where they are several packages, each with a name of its own", async () => {
  const path = `/v2/${REPOSITORY_PREFIX}nested.inner/manifests/latest`;
  const response = await house.request(path);
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({
    errors: [
      {
        message:
          "nested.inner may be nested.Inner (written nested.0--49nner), or nested.inNER (written nested.in--4e--45--52): write the one that is meant",
        detail: [
          {
            reason: "ambiguous",
            meant: [
              { attribute: "nested.Inner", name: "nested.0--49nner" },
              { attribute: "nested.inNER", name: "nested.in--4e--45--52" },
            ],
          },
        ],
      },
    ],
  });
  for (const name of ["nested.0--49nner", "nested.in--4e--45--52"]) await house.pull(name);
});
