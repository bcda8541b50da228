// The README's table of clients is the code's.

import { expect, test } from "vitest";
import { clientTable, readTable, WRITES_TABLES, writeTable } from "./client-tables.ts";

test("the README has the code's table of clients", () => {
  const table = clientTable();
  if (WRITES_TABLES) writeTable("README.md", "clients", table);
  expect(readTable("README.md", "clients"), "see NIXPORT_WRITE_TABLES there").toBe(table);
});
