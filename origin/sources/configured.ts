// Puts the operator's configuration of nixpkgs on what tags resolve to. What is remembered of a tag
// knows nothing of it, so that another configuration after a restart moves no tag.

import { configuredPin, type Pin } from "../../registry/pin.ts";
import { type NixpkgsConfig, nixpkgsConfigId } from "../nix/nixpkgs-config.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import type { Pins } from "./pins.ts";

export function configured<Pinned extends { readonly pin: Pin; readonly source: PinnedSource }>(
  pinned: Pinned,
  config: NixpkgsConfig,
): Pinned {
  const id = nixpkgsConfigId(config);
  if (id === "") return pinned;
  return {
    ...pinned,
    pin: configuredPin(pinned.pin, id),
    source: { ...pinned.source, config },
  };
}

export function configurePins(pins: Pins, config: NixpkgsConfig): Pins {
  return {
    ...pins,
    async resolve(tag) {
      const result = await pins.resolve(tag);
      return result.kind === "pinned" ? configured(result, config) : result;
    },
  };
}
