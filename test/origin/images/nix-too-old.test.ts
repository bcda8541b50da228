// A package set that comes to need a newer Nix than there is, while its origin runs.

import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { PINNED_NIX } from "../../../origin/nix/pinned-nix.ts";
import { temporaryDirectory } from "../fixture.ts";
import { plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";

test("a set that needs a newer Nix is told as that, once and for now", {
  timeout: 60_000,
}, async (t) => {
  const setPath = await plantSet(t);
  const house = await startHouse(t, setPath, await temporaryDirectory(t));
  assert.equal(house.origin.shortcoming, null);
  await mkdir(join(setPath, "lib"));
  await writeFile(join(setPath, "lib/minver.nix"), '"99.1"');

  for (const name of ["hello/tools", "hullo"]) {
    const response = await house.request(`/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`);
    assert.equal(response.status, 503);
    assert(Number(response.headers.get("Retry-After")) >= 60);
    const body = (await response.json()) as { errors: [{ message: string; detail: unknown[] }] };
    const [{ message, detail }] = body.errors;
    assert.match(message, /^this registry's operator has to upgrade Nix: .* needs 99\.1 or newer/);
    const version = /and (\S+) runs here/.exec(message)?.[1];
    assert.deepEqual(detail, [{ reason: "nix-too-old", version, needed: "99.1" }]);
  }
  const errors = house.lines.filter(({ level }) => level === 50);
  assert.deepEqual(
    errors.map(({ msg, needed, reason }) => ({ msg, needed, reason })),
    [
      { msg: "the package set needs a newer Nix", needed: "99.1", reason: undefined },
      {
        ...{ msg: "no newer Nix is to be had", needed: "99.1" },
        reason: `the newest that this program brings is ${PINNED_NIX.version}`,
      },
    ],
  );

  await rm(join(setPath, "lib"), { recursive: true });
  await house.pull("hullo");
});
