// The simulation of layer rules on graphs of packages (`graph/`), as a part of this report. Nothing
// is timed: the figures are the same on every machine.

import { type SimulationRow, simulate } from "./graph/simulate.ts";
import type { Section } from "./report.ts";

export async function measureGraph(): Promise<Section> {
  return {
    name: "graph",
    title: "bundle rules, simulated on the package set and on a graph of nixpkgs' shape",
    tables: [simulate().map(describe)],
    bars: [],
    notes: [
      "stored over distinct: bytes of all layers over bytes of all store paths that occur",
      "reused, by neighbours: share of an image's bytes that somebody has who holds another image, or one with one package replaced",
    ],
  };
}

function describe(row: SimulationRow) {
  return {
    set: row.set,
    rule: row.rule,
    images: row.images,
    "stored over distinct": row.storedOverDistinct,
    "layers, median": row.medianLayers,
    "layers, most": row.maxLayers,
    reused: row.reusedShare,
    "by neighbours": row.neighbourShare,
  };
}
