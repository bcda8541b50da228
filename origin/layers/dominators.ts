export type { ClosureGraph, ClosureNode } from "./closure.ts";
