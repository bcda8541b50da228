// Store paths that a collector takes between being realised and being packed, which Nix 2.8 lets happen: the
// moment is made here, with a Nix that says that all is there.

import { describe, expect, onTestFinished, test } from "vitest";
import { hostFailureOf } from "../../../origin/failures/host-error.ts";
import type { HeldPaths } from "../../../origin/images/held-paths.ts";
import type { RecordMaker } from "../../../origin/images/record-maker.ts";
import { createRecords, type Records } from "../../../origin/images/records.ts";
import { rememberFailures } from "../../../origin/memory/failure-memory.ts";
import type { NixTool } from "../../../origin/nix/nix-tool.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { ALWAYS } from "../../../origin/waiting/demand.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import { foundOf, packingIdOf, recordOf, storePathOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";

const PATH = storePathOf("htop");
const GONE = Object.assign(new Error(`ENOENT: no such file or directory, lstat '${PATH}'`), {
  code: "ENOENT",
});
const PACKING = packingIdOf("gzip-1");

/** Whose packing fails after so many realisations; `held` counts what was realised and is not released. */
async function openRecords(failing: number, error: Error) {
  const counts = { realised: 0, held: 0 };
  const held: HeldPaths = {
    realise: async () => {
      counts.realised += 1;
      counts.held += 1;
      const release = async () => {
        counts.held -= 1;
      };
      return { kind: "held", failures: new Map(), release };
    },
    during: (_, use) => use(),
    progress: () => undefined,
  };
  const maker: Pick<RecordMaker, "make" | "packings"> = {
    packings: { gzip: PACKING, zstd: PACKING },
    make: async () => {
      if (counts.realised <= failing) throw error;
      return { kind: "record", record: recordOf("htop", { packing: PACKING }) };
    },
  };
  const closure = [
    { path: PATH, narHash: `sha256-${"A".repeat(43)}=`, narSize: 1, references: [] },
  ];
  const run: NixTool["run"] = async () => ({
    ...{ kind: "exited", code: 0, stdout: JSON.stringify(closure), stderr: "" },
  });
  const records = createRecords({
    nix: { run, database: undefined } as unknown as NixTool,
    store: await openFilesystemStore(await temporaryDirectory(onTestFinished)),
    maker: maker as RecordMaker,
    held,
    maxClosureBytes: 1000,
    failures: rememberFailures({ forMs: 1000, now: () => 0 }),
    offer: async () => undefined,
    now: () => 0,
    signal: new AbortController().signal,
  });
  return { counts, make: () => make(records) };
}

function make(records: Records) {
  return records.make([{ name: "htop" as PackageName, found: foundOf("htop") }], "gzip", ALWAYS);
}

describe("a part of which a store path is gone when it is packed", () => {
  test("is realised once more, and is there", async () => {
    const { counts, make } = await openRecords(1, GONE);
    const { records, failures } = await make();
    expect(failures).toStrictEqual([]);
    expect(records.length).toBeGreaterThan(0);
    expect(counts).toStrictEqual({ realised: 2, held: 0 });
  });

  test("that is gone again is a fault of the host", async () => {
    const { counts, make } = await openRecords(2, GONE);
    const error = await make().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(hostFailureOf(error)?.kind).toBe("host-failed");
    expect(counts).toStrictEqual({ realised: 2, held: 0 });
  });
});

test("a part whose packing fails otherwise is not realised again", async () => {
  const { counts, make } = await openRecords(1, new Error("a bug"));
  await expect(make()).rejects.toThrow("a bug");
  expect(counts).toStrictEqual({ realised: 1, held: 0 });
});
