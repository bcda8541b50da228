// Pins by how a revision is read: no two configurations share one, nor do a flake and a plain set.

import { describe, expect, test } from "vitest";
import type { NixpkgsConfig } from "../../../origin/nix/nixpkgs-config.ts";
import { configured } from "../../../origin/sources/configured.ts";
import { configIdOf, configuredPin } from "../../../registry/naming/pin.ts";
import { pinOf } from "../../registry/fixture.ts";

const COMMIT = "a".repeat(40);
const PINNED = {
  pin: pinOf(COMMIT),
  source: { kind: "git", url: "https://h.example/r", commit: COMMIT },
} as const;
const pinWith = (config: NixpkgsConfig) => configured(PINNED, config).pin;

describe("configured", () => {
  test("leaves a pin as it is without a configuration", () => {
    expect(configured(PINNED, {})).toBe(PINNED);
    expect(configIdOf(PINNED.pin)).toBe("");
  });

  test("puts the configuration on the source, and a name of it on the pin", () => {
    const { pin, source } = configured(PINNED, { allowUnfree: true });
    expect(pin).toMatch(/^a{40}\+[0-9a-f]{16}$/);
    expect(source).toStrictEqual({ ...PINNED.source, config: { allowUnfree: true } });
    expect(configuredPin(pin, "")).toBe(PINNED.pin);
    expect(configuredPin(PINNED.pin, configIdOf(pin))).toBe(pin);
  });

  test("gives every configuration a pin of its own, however it is written", () => {
    const configs: readonly NixpkgsConfig[] = [
      { allowUnfree: true },
      { allowUnfree: false },
      { allowBroken: true },
      { allowUnfree: true, allowBroken: true },
      { permittedInsecurePackages: ["a-1"] },
      { permittedInsecurePackages: ["a-1", "b-1"] },
      { permittedInsecurePackages: ["b-1", "a-1"] },
      { nested: { a: 1, b: [] } },
      { nested: { a: 1, b: {} } },
      { nested: null },
    ];
    expect(new Set(configs.map(pinWith)).size).toBe(configs.length);
    expect(pinWith({ a: 1, b: { c: 1, d: 2 } })).toBe(pinWith({ b: { d: 2, c: 1 }, a: 1 }));
  });

  test("gives each flake of a revision a pin of its own, which no configuration changes", () => {
    const flake = (query: string, config: NixpkgsConfig = {}) => {
      const url = `git+https://h.example/r?rev=${COMMIT}${query}`;
      return configured({ pin: PINNED.pin, source: { kind: "flake", url } as const }, config);
    };
    const pins = ["", "&dir=a", "&dir=b"].map((query) => flake(query).pin);
    expect(new Set([PINNED.pin, ...pins]).size).toBe(4);
    expect(flake("&dir=a", { allowUnfree: true })).toStrictEqual(flake("&dir=a"));
  });
});
