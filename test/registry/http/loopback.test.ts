import { expect, test } from "vitest";
import { isLoopback } from "../../../registry/http/loopback.ts";

test("isLoopback knows this machine's own addresses and no others", () => {
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"]) {
    expect(isLoopback(host), host).toBe(true);
  }
  const others = ["0.0.0.0", "::", "[::]", "10.0.0.1", "example", "128.0.0.1", ""];
  for (const host of [...others, "127.0.0.1.example", "localhost.example", "127.0.0.1:80"]) {
    expect(isLoopback(host), host).toBe(false);
  }
});
