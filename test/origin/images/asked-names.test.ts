// The slots of names that were asked: what they keep, and that they are bounded.

import { describe, expect, onTestFinished, test } from "vitest";
import { type AskedName, MAX_SLOTS, openAskedNames } from "../../../origin/images/asked-names.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import type { Lookup } from "../../../registry/image/lookup.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import { pinOf } from "../../registry/fixture.ts";
import { type Ending, readableLog, temporaryDirectory } from "../fixture.ts";

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

async function openIn(onEnd: Ending) {
  const root = await temporaryDirectory(onEnd);
  const { log } = readableLog();
  const open = async (expressionsId = "one") =>
    openAskedNames({ store: await openFilesystemStore(root), expressionsId, log });
  return { open };
}

describe("asked names", () => {
  test("are remembered across a restart, each with what it is", async () => {
    const { open } = await openIn(onTestFinished);
    const names = await open();
    for (const [index, lookup] of LOOKUPS.entries()) {
      await names.remember(asked(`name${index}`), lookup);
    }
    const restarted = await open();
    for (const [index, lookup] of LOOKUPS.entries()) {
      expect(await restarted.recall(asked(`name${index}`))).toStrictEqual(lookup);
    }
  });

  test("are forgotten at another pin, under another name, and by other expressions", async () => {
    const { open } = await openIn(onTestFinished);
    const names = await open();
    await names.remember(asked("git"), MISSING);
    expect(await names.recall(asked("gitt"))).toBeUndefined();
    expect(await names.recall(asked("git", pinOf("b".repeat(40))))).toBeUndefined();
    expect(await (await open("two")).recall(asked("git"))).toBeUndefined();
  });

  test("have so many slots and no more, however many names are made up", () => {
    const slots = new Set(
      Array.from({ length: 50_000 }, (_, index) => slotOf(asked(`made-up-${index}`))),
    );
    expect(slots.size).toBe(MAX_SLOTS);
  });

  test("that share a slot are remembered by turns", async () => {
    const { open } = await openIn(onTestFinished);
    const names = await open();
    const first = asked("name");
    let number = 0;
    while (slotOf(asked(`other${number}`)) !== slotOf(first)) number += 1;
    const second = asked(`other${number}`);
    await names.remember(first, MISSING);
    await names.remember(second, { kind: "broken" });
    expect(await names.recall(first)).toBeUndefined();
    expect(await names.recall(second)).toStrictEqual({ kind: "broken" });
  });

  test("keep nothing that is larger than a slot", async () => {
    const { open } = await openIn(onTestFinished);
    const names = await open();
    await names.remember(asked("git"), { kind: "unfree", licenses: ["x".repeat(20_000)] });
    expect(await names.recall(asked("git"))).toBeUndefined();
  });

  test("answer nothing of a slot that cannot be read", async () => {
    const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
    const names = openAskedNames({ store, expressionsId: "one", log: readableLog().log });
    for (const text of ["{", "[]", '{"name":"git","expressionsId":"one","lookup":{"kind":"x"}}']) {
      await store.store(slotOf(asked("git")), Buffer.from(text));
      expect(await names.recall(asked("git"))).toBeUndefined();
    }
  });

  test("that cannot be stored are told of in the log, and fail nobody", async () => {
    const { log, lines } = readableLog();
    const full = {
      ...(await openFilesystemStore(await temporaryDirectory(onTestFinished))),
      remember: () => Promise.reject(new Error("no space left")),
    };
    await openAskedNames({ store: full, expressionsId: "one", log }).remember(
      asked("git"),
      MISSING,
    );
    expect(lines.map(({ msg }) => msg)).toStrictEqual(["a lookup could not be remembered"]);
  });
});
