import { assert, describe, expect, test } from "vitest";
import { parseNarinfo } from "../../../origin/popularity/narinfo.ts";
import { storePathOf } from "../../registry/fixture.ts";
import { narinfoOf } from "./cache.ts";

const HTOP = storePathOf("htop-3.2.2");
const GLIBC = storePathOf("glibc-2.36");
const WHOLE = narinfoOf(HTOP, [GLIBC, HTOP]);

describe("parseNarinfo", () => {
  test("gives what a path refers to, without the path itself", () => {
    expect(parseNarinfo(WHOLE, HTOP)).toStrictEqual({ path: HTOP, references: [GLIBC] });
    const alone = narinfoOf(GLIBC, []);
    expect(parseNarinfo(alone, GLIBC)).toStrictEqual({ path: GLIBC, references: [] });
  });

  const faults: readonly [title: string, text: string, reason: RegExp][] = [
    ["nothing", "", /does not end/],
    ["a file that is cut in a line", WHOLE.slice(0, WHOLE.indexOf("glibc")), /does not end/],
    ["a file that is cut between lines", WHOLE.slice(0, WHOLE.indexOf("Refer")), /no References/],
    ["a page of a proxy", "<html>\nplease log in\n</html>\n", /no StorePath, URL/],
    ["the file of another path", narinfoOf(GLIBC, []), /of another store path/],
    ["a path for a reference", WHOLE.replace("-glibc", "-../../etc"), /refers to/],
    ["a name for a reference", WHOLE.replace(/References: \S+/, "References: glibc"), /"glibc"/],
  ];
  test.for(faults)("refuses %s", ([, text, reason]) => {
    const result = parseNarinfo(text, HTOP);
    assert(typeof result === "string");
    expect(result).toMatch(reason);
  });
});
