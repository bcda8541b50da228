// What vitest runs: four projects by what they need, so that whoever has nothing but npm's packages
// can run the first.

import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import { WITHOUT_NIX } from "./without-nix.ts";

const OF_NIX = ["test/origin/**/*.test.ts", "test/nix/**/*.test.ts"];
const OF_UNIT = [
  "test/*.test.ts",
  "test/registry/**/*.test.ts",
  "test/page/**/*.test.ts",
  "test/bench/**/*.test.ts",
];

export const PROJECTS = {
  unit: { include: [...OF_UNIT, ...WITHOUT_NIX], exclude: [] },
  edge: { include: ["test/edge/**/*.test.ts"], exclude: [] },
  origin: { include: OF_NIX, exclude: WITHOUT_NIX },
  e2e: {
    include: ["test/e2e/**/*.test.ts", "test/hosts/**/*.test.ts", "test/stand-ins/**/*.test.ts"],
    exclude: [],
  },
} as const;

export default defineConfig({
  root: resolve(import.meta.dirname, ".."),
  test: {
    // As in production: Node's own modules and types stripped by Node, workers and all.
    experimental: { viteModuleRunner: false },
    pool: "forks",
    maxWorkers: Math.min(2, availableParallelism()),
    // Nix builds, clients pull: a limit is for what hangs.
    testTimeout: 120_000,
    hookTimeout: 240_000,
    setupFiles: [
      "./test/compare-bytes.ts",
      "./test/tell-errors.ts",
      ...(process.env.NODE_V8_COVERAGE === undefined ? [] : ["./test/take-coverage.ts"]),
    ],
    // An index is made behind everything else: in tests that are not of one it would be in the way.
    env: { NIXPORT_INDEX: "off" },
    // In the titles of a table's rows.
    taskTitleValueFormatTruncate: 120,
    reporters: ["default", "./test/closing-lines.ts"],
    projects: Object.entries(PROJECTS).map(([name, { include, exclude }]) => ({
      extends: true,
      test: { name, include: [...include], exclude: [...exclude] },
    })),
  },
});
