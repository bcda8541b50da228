// A package set that comes to need a newer Nix than there is, while its origin runs.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { PINNED_NIX } from "../../../origin/nix/pinned-nix.ts";
import { temporaryDirectory } from "../fixture.ts";
import { plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";

test("a set that needs a newer Nix is told as that, once and for now", {
  timeout: 60_000,
}, async () => {
  const setPath = await plantSet(onTestFinished);
  const house = await startHouse(onTestFinished, setPath, await temporaryDirectory(onTestFinished));
  expect(house.origin.shortcoming).toBeNull();
  await mkdir(join(setPath, "lib"));
  await writeFile(join(setPath, "lib/minver.nix"), '"99.1"');

  for (const name of ["hello/tools", "hullo"]) {
    const response = await house.request(`/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`);
    expect(response.status).toBe(503);
    expect(Number(response.headers.get("Retry-After"))).toBeGreaterThanOrEqual(60);
    const body = (await response.json()) as { errors: [{ message: string; detail: unknown[] }] };
    const [{ message, detail }] = body.errors;
    expect(message).toMatch(
      /^this registry's operator has to upgrade Nix: .* needs 99\.1 or newer/,
    );
    const version = /and (\S+) runs here/.exec(message)?.[1];
    expect(detail).toStrictEqual([{ reason: "nix-too-old", version, needed: "99.1" }]);
  }
  const errors = house.lines.filter(({ level }) => level === 50);
  expect(errors.map(({ msg, needed, reason }) => ({ msg, needed, reason }))).toStrictEqual([
    { msg: "the package set needs a newer Nix", needed: "99.1", reason: undefined },
    {
      ...{ msg: "no newer Nix is to be had", needed: "99.1" },
      reason: `the newest that this program brings is ${PINNED_NIX.version}`,
    },
  ]);

  await rm(join(setPath, "lib"), { recursive: true });
  await house.pull("hullo");
});
