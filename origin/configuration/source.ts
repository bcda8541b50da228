// Where packages come from and under which configuration of nixpkgs, as the environment says it.

import { resolve } from "node:path";
import { withoutCredentials } from "../../registry/failures/public-text.ts";
import { type NixpkgsConfig, parseNixpkgsConfig } from "../nix/nixpkgs-config.ts";
import { parseFlakeReference } from "../sources/flake-reference.ts";
import { NIXPKGS_URL, type Source } from "../sources/source.ts";
import type { Variables } from "./variables.ts";

/** Any of these says where packages come from. */
export const SOURCE_VARIABLES = [
  "NIXPORT_FLAKE",
  "NIXERY_CHANNEL",
  "NIXERY_PKGS_REPO",
  "NIXERY_PKGS_PATH",
] as const;

/** A ref or a commit, as git allows the names of refs; what may not start an option or a path. */
const REVISION = /^(?!.*(?:\.\.|\/\/|@\{))[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,199}$/;

/** The flake first, which only nixport knows; then Nixery's order: channel, repository, path. */
export function readSource({ text, problem }: Variables): Source | undefined {
  const latest = text("NIXPORT_DEFAULT_TAG");
  if (latest !== undefined && !REVISION.test(latest)) {
    problem(`NIXPORT_DEFAULT_TAG is ${JSON.stringify(latest)}: a branch, a git tag or a commit`);
  }
  const source = readPlace({ text, problem });
  if (source === undefined || latest === undefined) return source;
  switch (source.kind) {
    case "nixpkgs":
      return { ...source, channel: latest };
    case "git":
      return { ...source, latest };
    case "flake":
      if (parseFlakeReference(source.url).kind === "git") return { ...source, latest };
      return problem(
        "NIXPORT_DEFAULT_TAG is set: a flake that is no git repository has latest only",
      );
    case "path":
      return problem("NIXPORT_DEFAULT_TAG is set: a local path has the tag latest only");
    default:
      return source satisfies never;
  }
}

function readPlace({ text, problem }: Pick<Variables, "text" | "problem">): Source | undefined {
  const flake = text("NIXPORT_FLAKE");
  if (flake !== undefined) {
    const reference = parseFlakeReference(flake);
    if (reference.kind !== "invalid") return { kind: "flake", url: flake };
    const shown = JSON.stringify(withoutCredentials(flake));
    return problem(`NIXPORT_FLAKE is ${shown}: ${reference.why}`);
  }
  const channel = text("NIXERY_CHANNEL");
  if (channel !== undefined) {
    if (REVISION.test(channel)) return { kind: "nixpkgs", url: NIXPKGS_URL, channel };
    return problem(`NIXERY_CHANNEL is ${JSON.stringify(channel)}: a branch or a commit of nixpkgs`);
  }
  const repository = text("NIXERY_PKGS_REPO");
  if (repository !== undefined) {
    if (/^(?:https?|ssh|git|file):\/\/|^[^-:][^:]*@[^:]+:|^\//.test(repository)) {
      return { kind: "git", url: repository };
    }
    const shown = JSON.stringify(withoutCredentials(repository));
    return problem(`NIXERY_PKGS_REPO is ${shown}: a git URL is needed`);
  }
  const path = text("NIXERY_PKGS_PATH");
  if (path !== undefined) return { kind: "path", path: resolve(path) };
  return problem(
    `no package source: set one of ${SOURCE_VARIABLES.join(", ")}, such as NIXERY_CHANNEL=nixos-unstable`,
  );
}

/** Variables that nixpkgs reads itself. As settings they are part of what a pin means. */
const NIXPKGS_SWITCHES = [
  ["NIXPKGS_ALLOW_UNFREE", "allowUnfree"],
  ["NIXPKGS_ALLOW_BROKEN", "allowBroken"],
  ["NIXPKGS_ALLOW_UNSUPPORTED_SYSTEM", "allowUnsupportedSystem"],
  ["NIXPKGS_ALLOW_INSECURE", "allowInsecure"],
] as const;

export function readNixpkgsConfig({ text, problem }: Variables): NixpkgsConfig {
  const switched = NIXPKGS_SWITCHES.filter(([variable]) => text(variable) === "1");
  const fromSwitches = Object.fromEntries(switched.map(([, setting]) => [setting, true]));
  const value = text("NIXPORT_NIXPKGS_CONFIG");
  const written = value === undefined ? {} : parseNixpkgsConfig(value);
  if (written === undefined) {
    problem(
      'NIXPORT_NIXPKGS_CONFIG is no JSON object of at most 16 KiB, such as {"allowUnfree":true}',
    );
  }
  return { ...fromSwitches, ...written };
}
