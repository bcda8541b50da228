import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { drawView } from "../../../origin/layers/draw-view.ts";
import { startViewThread } from "../../../origin/layers/view-thread.ts";
import { parseStorePath } from "../../../registry/naming/store-path.ts";
import { temporaryDirectory } from "../fixture.ts";

const FOLDERS = 20;
const FILES = 100;

async function plantPackage(name: string) {
  const store = await temporaryDirectory(onTestFinished);
  const path = parseStorePath(`/nix/store/${"0".repeat(32)}-${name}`);
  assert(path);
  for (let folder = 0; folder < FOLDERS; folder++) {
    const at = join(store, `${"0".repeat(32)}-${name}`, "share", String(folder));
    await mkdir(at, { recursive: true });
    for (let file = 0; file < FILES; file++) await writeFile(join(at, String(file)), "");
  }
  const part = { kind: "package", outputs: [path] } as const;
  return { store, wanted: { part, closure: [path], database: null } };
}

function threadOf(...args: Parameters<typeof startViewThread>) {
  const thread = startViewThread(...args);
  onTestFinished(() => thread.close());
  return thread;
}

const ending = new URL("./ending-thread.ts", import.meta.url).pathname;

describe("the view of a package of many files", () => {
  test("is drawn while the event loop turns, and is the one drawn here", async () => {
    const { store, wanted } = await plantPackage("many-1.0");
    const { draw } = threadOf(store);
    let turns = 0;
    let isDrawn = false;
    const drawing = draw(wanted).finally(() => {
      isDrawn = true;
    });
    for (; !isDrawn; turns++) await setImmediate();
    expect(turns).toBeGreaterThan(10);
    const drawn = await drawing;
    assert(drawn.kind === "view");
    const here = drawView(wanted, store);
    assert(here.kind === "view");
    expect(drawn.view.tar?.length).toBeGreaterThan(512 * FOLDERS * FILES);
    expect(
      Buffer.compare(drawn.view.tar ?? Buffer.alloc(0), here.view.tar ?? Buffer.alloc(0)),
    ).toBe(0);
    expect({ ...drawn.view, tar: null }).toStrictEqual({ ...here.view, tar: null });
  });

  test("fails as it would here, with the code that says whose fault it is", async () => {
    const { wanted } = await plantPackage("loose-1.0");
    const nowhere = "/no\0where";
    const code = "ERR_INVALID_ARG_VALUE";
    expect(() => drawView(wanted, nowhere)).toThrow(expect.objectContaining({ code }));
    const { draw } = threadOf(nowhere);
    await expect(draw(wanted)).rejects.toThrow(expect.objectContaining({ code }));
  });

  test("is asked of a new thread after one has ended, which fails what waited for it", async () => {
    const { store, wanted } = await plantPackage("plain-1.0");
    const { draw } = threadOf(store, ending);
    const lost = await Promise.allSettled([draw(wanted), draw(wanted)]);
    for (const each of lost) {
      assert(each.status === "rejected");
      expect(String(each.reason)).toMatch(/the thread of views ended with code 3/);
    }
    await expect(draw(wanted)).rejects.toThrow(/ended with code 3/);
  });

  test("is given up when the origin ends", async () => {
    const { store, wanted } = await plantPackage("late-1.0");
    const thread = startViewThread(store);
    const lost = expect(thread.draw(wanted)).rejects.toThrow(/is closed/);
    await thread.close();
    await lost;
    await expect(thread.draw(wanted)).rejects.toThrow(/is closed/);
  });
});
