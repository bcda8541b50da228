// Work in slots that says when it begins, and ends when the test says so or when it gives way.

import { setImmediate } from "node:timers/promises";
import { type RequestDemand, requestDemand } from "../../../origin/waiting/demand.ts";
import type { Slots } from "../../../origin/waiting/slots.ts";

export function controlledWork(slots: Slots) {
  const begun: string[] = [];
  const demands = new Map<string, RequestDemand>();
  const ends = new Map<string, PromiseWithResolvers<void>>();
  return {
    begun,
    /** Of the client that its name begins with. */
    async run(name: string, signal?: AbortSignal) {
      const demand = requestDemand(name[0] ?? "");
      demands.set(name, demand);
      const work = () => {
        begun.push(name);
        const end = Promise.withResolvers<void>();
        ends.set(name, end);
        demand.signal.addEventListener("abort", () => end.resolve());
        return end.promise.then(() => (demand.signal.aborted ? `${name} gave way` : name));
      };
      return await slots.run(work, signal ?? demand.signal, demand);
    },
    async untilBegun(name: string) {
      while (!begun.includes(name)) await setImmediate();
    },
    async end(name: string) {
      ends.get(name)?.resolve();
      await setImmediate();
    },
    fail: (name: string) => ends.get(name)?.reject(new Error(`${name} failed`)),
    leave: (name: string) => demands.get(name)?.leave(),
  };
}
