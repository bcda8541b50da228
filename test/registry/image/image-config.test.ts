// What an image's config may say, and how it is laid over another.

import { describe, expect, test } from "vitest";
import {
  type ImageConfig,
  layConfigOver,
  parseImageConfig,
} from "../../../registry/image/image-config.ts";

describe("an image's config", () => {
  const whole = {
    User: "1000:100",
    ExposedPorts: { "80": {}, "443/tcp": {} },
    Env: ["A=", "B=b=c"],
    Entrypoint: ["/bin/app"],
    Cmd: [],
    Volumes: { "/data": {} },
    WorkingDir: "/data",
    Labels: { "org.example": "" },
    StopSignal: "SIGQUIT",
  };

  test("is taken with all its fields, and with none", () => {
    expect(parseImageConfig(whole)).toStrictEqual({ kind: "config", config: whole });
    expect(parseImageConfig({})).toStrictEqual({ kind: "config", config: {} });
  });

  const wrong: readonly [string, unknown, RegExp][] = [
    ["a field of the wrong case", { cmd: [] }, /^cmd: /],
    ["a command line", { Cmd: "ls -l" }, /^Cmd: .*Array/],
    ["a word that is none", { Entrypoint: [1] }, /^Entrypoint\.0: /],
    ["a variable without a value", { Env: ["A"] }, /^Env\.0: not NAME=value/],
    ["a variable without a name", { Env: ["=a"] }, /^Env\.0: not NAME=value/],
    ["a port that is none", { ExposedPorts: { http: {} } }, /not a port such as 80\/tcp/],
    ["a port with something in it", { ExposedPorts: { "80": { a: 1 } } }, /^ExposedPorts\.80/],
    ["a relative folder", { WorkingDir: "data" }, /^WorkingDir: /],
    ["a label that is no text", { Labels: { a: 1 } }, /^Labels\.a: /],
    ["a signal that is none", { StopSignal: "QUIT" }, /^StopSignal: /],
    ["a zero byte", { User: "a\0" }, /^User: /],
    ["too many words", { Cmd: Array.from({ length: 257 }, () => "a") }, /^Cmd: /],
    [
      "more than an image's config is read for",
      { Env: ["A", "B", "C"].map((name) => `${name}=${"a".repeat(30_000)}`) },
      /^is larger than 65536 characters$/,
    ],
    ["no set at all", [], /^is a list, not a set$/],
    ["nothing", null, /Object/],
  ];
  test.for(wrong)("is refused with %s", ([, config, pattern]) => {
    const parsed = parseImageConfig(config);
    expect(parsed.kind === "invalid" ? parsed.reason : "taken").toMatch(pattern);
  });
});

describe("a config laid over another", () => {
  const base: ImageConfig = { Env: ["PATH=/bin", "HOME=/root"], Cmd: ["/bin/sh"], WorkingDir: "/" };

  test("that says nothing leaves it as it is, to the byte", () => {
    expect(JSON.stringify(layConfigOver(base, {}))).toBe(JSON.stringify(base));
  });

  const cases: readonly [string, ImageConfig, ImageConfig][] = [
    ["replaces a command", { Cmd: ["/bin/a"] }, { ...base, Cmd: ["/bin/a"] }],
    [
      "drops the command that an entry point was not made for",
      { Entrypoint: ["/bin/a"] },
      { Env: base.Env ?? [], WorkingDir: "/", Entrypoint: ["/bin/a"] },
    ],
    [
      "keeps a command of its own beside its entry point",
      { Entrypoint: ["/bin/a"], Cmd: ["-v"] },
      { ...base, Entrypoint: ["/bin/a"], Cmd: ["-v"] },
    ],
    [
      "replaces variables by name and adds others",
      { Env: ["HOME=/data", "A=1"] },
      { ...base, Env: ["PATH=/bin", "HOME=/data", "A=1"] },
    ],
  ];
  test.for(cases)("%s", ([, own, expected]) =>
    expect(layConfigOver(base, own)).toStrictEqual(expected),
  );

  test("adds labels to those that are there", () => {
    const laid = layConfigOver({ Labels: { a: "1", b: "1" } }, { Labels: { b: "2", c: "2" } });
    expect(laid.Labels).toStrictEqual({ a: "1", b: "2", c: "2" });
  });
});
