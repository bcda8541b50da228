// Says on what tags resolve to how the revision is read: as a flake, or under the operator's
// configuration of nixpkgs. One revision read in two ways is two sets of packages, so it is two
// pins. What is remembered of a tag knows nothing of it, so that another configuration moves no
// tag.

import { configuredPin, type Pin } from "../../registry/naming/pin.ts";
import { configId, type NixpkgsConfig } from "../nix/nixpkgs-config.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import type { Pins } from "./pins.ts";

export function configured<Pinned extends { readonly pin: Pin; readonly source: PinnedSource }>(
  pinned: Pinned,
  config: NixpkgsConfig,
): Pinned {
  const { pin, source } = pinned;
  if (source.kind === "flake") return { ...pinned, pin: configuredPin(pin, flakeId(source.url)) };
  const id = configId(config);
  return id === ""
    ? pinned
    : { ...pinned, pin: configuredPin(pin, id), source: { ...source, config } };
}

/** A flake configures nixpkgs itself; one repository may hold several, each in its folder. */
function flakeId(url: string): string {
  return configId({ flake: new URL(url).searchParams.get("dir") ?? "" });
}

export function configurePins(pins: Pins, config: NixpkgsConfig): Pins {
  return {
    ...pins,
    async resolve(tag) {
      const result = await pins.resolve(tag);
      return result.kind === "pinned" ? configured(result, config) : result;
    },
    async lastLoading(tag) {
      const pinned = await pins.lastLoading(tag);
      return pinned && configured(pinned, config);
    },
  };
}
