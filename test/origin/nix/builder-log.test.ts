// What builders wrote, where that is Nix's own events.

import { describe, expect, test } from "vitest";
import { builderLog } from "../../../origin/nix/builder-log.ts";

describe("builderLog", () => {
  test("has words where builtin:fetchurl wrote Nix's events", () => {
    expect(
      builderLog([
        `@nix {"action":"start","fields":["http://127.0.0.1:1/x"],"id":1,"level":4,"text":"downloading","type":101}`,
        `@nix {"action":"result","fields":[0,0,0,0],"id":1,"type":105}`,
        `@nix {"action":"msg","level":0,"msg":"first\\n\\nsecond"}`,
        `@nix {"action":"stop","id":1}`,
        `@nix {"action":"msg","level":0,"ms`,
        "",
        "@nix is what I am built with",
        "error: unable to download 'http://127.0.0.1:1/x': Couldn't connect to server (7)",
      ]),
    ).toStrictEqual([
      "first",
      "second",
      "@nix is what I am built with",
      "error: unable to download 'http://127.0.0.1:1/x': Couldn't connect to server (7)",
    ]);
  });
});
