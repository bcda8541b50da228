// The slots of names that were asked: what they keep, and that they are bounded.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { type AskedName, MAX_SLOTS, openAskedNames } from "../../../origin/images/asked-names.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import type { Lookup } from "../../../registry/image/lookup.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import { pinOf } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";

const PIN = pinOf("a".repeat(40));
const LOOKUPS: readonly Lookup[] = [
  { kind: "missing", near: ["git"] },
  { kind: "not-a-package", what: "set", near: [] },
  { kind: "unfree", licenses: ["own"] },
  { kind: "broken" },
  { kind: "insecure", vulnerabilities: ["CVE-1"], name: "a-1" },
  { kind: "insecure", vulnerabilities: [], name: null },
  { kind: "unsupported", system: "aarch64-linux" },
];
const MISSING: Lookup = { kind: "missing", near: [] };

function asked(name: string, pin = PIN): AskedName {
  return { pin, system: "x86_64-linux", name: name as PackageName };
}

const slotOf = ({ pin, system, name }: AskedName) => storageKey.asked(pin, system, name, MAX_SLOTS);

async function openIn(t: TestContext) {
  const root = await temporaryDirectory(t);
  const { log } = readableLog();
  const open = async (expressionsId = "one") =>
    openAskedNames({ store: await openFilesystemStore(root), expressionsId, log });
  return { open };
}

describe("asked names", () => {
  test("are remembered across a restart, each with what it is", async (t) => {
    const { open } = await openIn(t);
    const names = await open();
    for (const [index, lookup] of LOOKUPS.entries()) {
      await names.remember(asked(`name${index}`), lookup);
    }
    const restarted = await open();
    for (const [index, lookup] of LOOKUPS.entries()) {
      assert.deepEqual(await restarted.recall(asked(`name${index}`)), lookup);
    }
  });

  test("are forgotten at another pin, under another name, and by other expressions", async (t) => {
    const { open } = await openIn(t);
    const names = await open();
    await names.remember(asked("git"), MISSING);
    assert.equal(await names.recall(asked("gitt")), undefined);
    assert.equal(await names.recall(asked("git", pinOf("b".repeat(40)))), undefined);
    assert.equal(await (await open("two")).recall(asked("git")), undefined);
  });

  test("have so many slots and no more, however many names are made up", () => {
    const slots = new Set(
      Array.from({ length: 50_000 }, (_, index) => slotOf(asked(`made-up-${index}`))),
    );
    assert.equal(slots.size, MAX_SLOTS);
  });

  test("that share a slot are remembered by turns", async (t) => {
    const { open } = await openIn(t);
    const names = await open();
    const first = asked("name");
    let number = 0;
    while (slotOf(asked(`other${number}`)) !== slotOf(first)) number += 1;
    const second = asked(`other${number}`);
    await names.remember(first, MISSING);
    await names.remember(second, { kind: "broken" });
    assert.equal(await names.recall(first), undefined);
    assert.deepEqual(await names.recall(second), { kind: "broken" });
  });

  test("keep nothing that is larger than a slot", async (t) => {
    const { open } = await openIn(t);
    const names = await open();
    await names.remember(asked("git"), { kind: "unfree", licenses: ["x".repeat(20_000)] });
    assert.equal(await names.recall(asked("git")), undefined);
  });

  test("answer nothing of a slot that cannot be read", async (t) => {
    const store = await openFilesystemStore(await temporaryDirectory(t));
    const names = openAskedNames({ store, expressionsId: "one", log: readableLog().log });
    for (const text of ["{", "[]", '{"name":"git","expressionsId":"one","lookup":{"kind":"x"}}']) {
      await store.store(slotOf(asked("git")), Buffer.from(text));
      assert.equal(await names.recall(asked("git")), undefined);
    }
  });

  test("that cannot be stored are told of in the log, and fail nobody", async (t) => {
    const { log, lines } = readableLog();
    const full = {
      ...(await openFilesystemStore(await temporaryDirectory(t))),
      remember: () => Promise.reject(new Error("no space left")),
    };
    await openAskedNames({ store: full, expressionsId: "one", log }).remember(
      asked("git"),
      MISSING,
    );
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ["a lookup could not be remembered"],
    );
  });
});
