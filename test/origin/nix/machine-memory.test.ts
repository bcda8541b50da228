// What is left of memory, as control groups of both kinds tell it.

import { expect, test } from "vitest";
import { availableMemoryBytes, fileCacheBytes } from "../../../origin/nix/machine-memory.ts";

const SECOND = "anon 5\nfile 9\nshmem 2\ninactive_file 30\nactive_file 4\n";
const FIRST = `cache 9\n${SECOND}total_inactive_file 700\ntotal_active_file 60\n`;

test.for<[string, string, Readonly<Record<string, string>>, number]>([
  ["its own", "0::/a/b\n", { "/a/b/memory.stat": SECOND, "/memory.stat": "active_file 1\n" }, 34],
  ["that a container sees as all", "0::/a/b\n", { "/memory.stat": SECOND }, 34],
  ["at the top", "0::/\n", { "/memory.stat": SECOND }, 34],
  ["of the first kind", "4:memory:/a\n0::/\n", { "/memory/a/memory.stat": FIRST }, 760],
  ["of a container of it", "4:memory:/a\n", { "/memory/memory.stat": FIRST }, 760],
  ["that cannot be seen", "0::/a\n", {}, 0],
  ["that is none", "", {}, 0],
])("the files in memory of a group: %s", ([, groups, files, bytes]) => {
  const read = (path: string) =>
    path === "/proc/self/cgroup" ? groups : files[path.replace("/sys/fs/cgroup", "")];
  expect(fileCacheBytes(read)).toBe(bytes);
});

test("some memory of this machine is left", () => {
  expect(availableMemoryBytes()).toBeGreaterThan(0);
});
