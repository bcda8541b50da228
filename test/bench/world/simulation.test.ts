import { expect, test } from "vitest";
import { simulate } from "./simulation.ts";

test("what waits goes on in the order of time, and nothing else takes any", async () => {
  const order: string[] = [];
  const { result, tookMs } = await simulate(async (world) => {
    const after = async (ms: number, name: string) => {
      await world.until(world.now() + ms);
      order.push(`${name} at ${world.now()}`);
    };
    const slow = world.really(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push(`really, at ${world.now()}`);
    });
    await Promise.all([after(30, "last"), after(10, "first"), after(10, "second"), slow]);
    await after(0, "at once");
    return "told";
  });
  expect(order).toStrictEqual([
    "really, at 0",
    ...["first at 10", "second at 10", "last at 30", "at once at 30"],
  ]);
  expect([result, tookMs]).toStrictEqual(["told", 30]);
});

test("what really fails, fails where it was asked for", async () => {
  const failing = simulate((world) => world.really(() => Promise.reject(new Error("down"))));
  await expect(failing).rejects.toThrow(/^down$/);
});

test("a world in which nobody can go on is an error", async () => {
  await expect(simulate(() => new Promise(() => undefined))).rejects.toThrow(/waits for nothing/);
});
