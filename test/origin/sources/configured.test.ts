// Pins by how a revision is read: no two configurations share one, nor do a flake and a plain set.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
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
    assert.equal(configured(PINNED, {}), PINNED);
    assert.equal(configIdOf(PINNED.pin), "");
  });

  test("puts the configuration on the source, and a name of it on the pin", () => {
    const { pin, source } = configured(PINNED, { allowUnfree: true });
    assert.match(pin, /^a{40}\+[0-9a-f]{16}$/);
    assert.deepEqual(source, { ...PINNED.source, config: { allowUnfree: true } });
    assert.equal(configuredPin(pin, ""), PINNED.pin);
    assert.equal(configuredPin(PINNED.pin, configIdOf(pin)), pin);
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
    assert.equal(new Set(configs.map(pinWith)).size, configs.length);
    assert.equal(pinWith({ a: 1, b: { c: 1, d: 2 } }), pinWith({ b: { d: 2, c: 1 }, a: 1 }));
  });

  test("gives each flake of a revision a pin of its own, which no configuration changes", () => {
    const flake = (query: string, config: NixpkgsConfig = {}) => {
      const url = `git+https://h.example/r?rev=${COMMIT}${query}`;
      return configured({ pin: PINNED.pin, source: { kind: "flake", url } as const }, config);
    };
    const pins = ["", "&dir=a", "&dir=b"].map((query) => flake(query).pin);
    assert.equal(new Set([PINNED.pin, ...pins]).size, 4);
    assert.deepEqual(flake("&dir=a", { allowUnfree: true }), flake("&dir=a"));
  });
});
