// Which clients count as one.

import { expect, test } from "vitest";
import { clientNetworkOf } from "../../../edge/request/client-network.ts";

const rows: readonly (readonly [address: string, network: string | undefined])[] = [
  ["192.0.2.7", "192.0.2.7"],
  ["", undefined],
  ["a name", undefined],
  ["1".repeat(46), undefined],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8:1:2:ffff::1", "2001:db8:1:2"],
  ["2001:db8:1:2::", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["2001:db8::1:2:3:4:5", "2001:db8:0:1"],
  ["::1", "0:0:0:0"],
  ["::", "0:0:0:0"],
];
test.each(rows)("counts %j as %j", (address, network) => {
  expect(clientNetworkOf(new Headers({ "CF-Connecting-IP": address }))).toBe(network);
});
