// Whose request it is, as Cloudflare says it.

import { expect, test } from "vitest";
import { clientNetworkOf } from "../../../edge/request/client-network.ts";

const rows: readonly (readonly [address: string, network: string | undefined])[] = [
  ["192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2::1", "2001:db8:1:2"],
  ["", undefined],
  ["a name", undefined],
  ["1".repeat(46), undefined],
];
test.each(rows)("takes %j for %j", (address, network) => {
  expect(clientNetworkOf(new Headers({ "CF-Connecting-IP": address }))).toBe(network);
});
