// Whose misses are counted together.

import { expect, test } from "vitest";
import { clientNetwork } from "../../../edge/request/client-network.ts";

const rows: readonly (readonly [address: string, network: string])[] = [
  ["192.0.2.7", "192.0.2.7"],
  ["unknown", "unknown"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8:1:2:ffff::1", "2001:db8:1:2"],
  ["2001:db8:1:2::", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["2001:db8::1:2:3:4:5", "2001:db8:0:1"],
  ["::1", "0:0:0:0"],
  ["::", "0:0:0:0"],
];
for (const [address, network] of rows) {
  test(`counts ${address} as ${network}`, () => expect(clientNetwork(address)).toBe(network));
}
