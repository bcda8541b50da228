// What this machine gives an origin: memory for evaluations, open files, cores, room in Nix's store.

import { readFile, statfs } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { availableMemoryBytes } from "../nix/machine-memory.ts";
import { describeBytes } from "../words/quantities.ts";
import { type Check, failed, ok, type Seen, warning } from "./finding.ts";
import { describeSpace } from "./storage.ts";
import type { Subject } from "./subject.ts";

/** Of nixpkgs: 300 to 500 MB for a name or two, more for names that pull much in. */
const EVALUATION_BYTES = 600e6;
const SCARCE_FILES = 4096;
const FEW_FILES = 1024;

export function limitChecks({ config }: Subject): readonly Check[] {
  const check = (name: string, look: () => Promise<Seen>): Check => ({
    ...{ group: "limits", check: name, isCheap: true, look },
  });
  return [
    check("memory", async () =>
      describeMemory(availableMemoryBytes(), config?.maxEvaluations ?? 1),
    ),
    check("open files", async () =>
      describeFiles(openFilesLimit(await readFile("/proc/self/limits", "utf8"))),
    ),
    check("cores", async () => ok(`${availableParallelism()}`)),
    check("Nix store", async () => {
      const { bavail, bsize } = await statfs("/nix/store");
      return describeSpace(bavail * bsize, "nix-collect-garbage");
    }),
  ];
}

export function describeMemory(availableBytes: number, evaluations: number): Seen {
  const each = describeBytes(EVALUATION_BYTES);
  const saw = `${describeBytes(availableBytes)} available; one evaluation of nixpkgs takes some ${each}, and ${evaluations} may run at once`;
  const fitting = Math.floor(availableBytes / EVALUATION_BYTES);
  if (fitting >= evaluations) return ok(saw);
  if (fitting === 0) return failed(saw, "give the machine more memory");
  return warning(saw, `set NIXPORT_MAX_EVALUATIONS=${fitting}, or give the machine more memory`);
}

/** Undefined for no limit. */
function openFilesLimit(limits: string): number | undefined {
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  return soft === undefined || soft === "unlimited" ? undefined : Number(soft);
}

export function describeFiles(limit: number | undefined): Seen {
  if (limit === undefined) return ok("no limit");
  const toDo = "raise the limit: ulimit -n 65536, or LimitNOFILE= of the service";
  if (limit < FEW_FILES) return failed(`${limit}`, toDo);
  return limit < SCARCE_FILES ? warning(`${limit}`, toDo) : ok(`${limit}`);
}
