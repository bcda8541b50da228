// Tag to pin, for each kind of source. What a tag may mean is decided here and nowhere else.

import { realpath } from "node:fs/promises";
import { type Pin, parsePin } from "../../registry/pin.ts";
import type { Tag } from "../../registry/reference.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { askRemote, type RemoteRef } from "./git-remote.ts";
import { narHash } from "./nar-hash.ts";
import { isCommit, type Resolution, type Source } from "./source.ts";

/** The branches of nixpkgs that are channels, and those people build from besides. */
const NIXPKGS_BRANCH =
  /^(?:(?:nixos|nixpkgs)-(?:unstable|\d\d\.\d\d)(?:-small|-darwin)?|release-\d\d\.\d\d|master)$/;

/** What git runs in: PATH, HOME, the ssh agent. */
export type Environment = Readonly<Record<string, string>>;

export async function resolveTag(source: Source, tag: Tag, env: Environment): Promise<Resolution> {
  switch (source.kind) {
    case "path":
      return resolvePath(source.path, tag);
    case "nixpkgs":
      return resolveNixpkgs(source, tag, env);
    case "git":
      return resolveGit(source, tag, env);
    default:
      return source satisfies never;
  }
}

async function resolvePath(path: string, tag: Tag): Promise<Resolution> {
  if (tag !== "latest") {
    return unknownTag(tag, "the packages come from a local path, which has the tag latest only");
  }
  try {
    const real = await realpath(path);
    const hex = await narHash(real);
    const narHashSri = `sha256-${Buffer.from(hex, "hex").toString("base64")}`;
    return {
      kind: "pinned",
      pin: pinOf(`path-${hex}`),
      source: { kind: "path", path: real, narHash: narHashSri },
      immutable: false,
    };
  } catch (error) {
    return { kind: "unreachable", message: `the package set cannot be read: ${String(error)}` };
  }
}

async function resolveNixpkgs(
  source: Extract<Source, { kind: "nixpkgs" }>,
  tag: Tag,
  env: Environment,
): Promise<Resolution> {
  const { url } = source;
  const wanted = tag === "latest" ? source.channel : tag;
  if (isCommit(wanted)) {
    return {
      kind: "pinned",
      pin: pinOf(wanted),
      source: { kind: "nixpkgs", url, commit: wanted },
      immutable: tag !== "latest",
    };
  }
  const hint = `tags are latest (${source.channel}), a channel such as nixos-25.11, or a commit of nixpkgs`;
  // The operator's own channel may be any branch; a client's tag may not start a look-up for each.
  if (tag !== "latest" && !NIXPKGS_BRANCH.test(wanted)) return unknownTag(tag, hint);
  const remote = await askRemote(url, wanted, env);
  return fromRemote(remote, tag, hint, ({ commit }) => ({ kind: "nixpkgs", url, commit }));
}

async function resolveGit(
  { url }: Extract<Source, { kind: "git" }>,
  tag: Tag,
  env: Environment,
): Promise<Resolution> {
  if (isCommit(tag)) {
    return {
      kind: "pinned",
      pin: pinOf(tag),
      source: { kind: "git", url, commit: tag },
      immutable: true,
    };
  }
  const remote = await askRemote(url, tag === "latest" ? "HEAD" : tag, env);
  const hint = "tags are latest (the default branch), a branch, a git tag, or a full commit";
  return fromRemote(remote, tag, hint, ({ commit, ref }) => ({ kind: "git", url, commit, ref }));
}

function fromRemote(
  remote: RemoteRef,
  tag: Tag,
  hint: string,
  sourceOf: (found: Extract<RemoteRef, { kind: "commit" }>) => PinnedSource,
): Resolution {
  switch (remote.kind) {
    case "commit":
      return {
        kind: "pinned",
        pin: pinOf(remote.commit),
        source: sourceOf(remote),
        immutable: false,
      };
    case "absent":
      return unknownTag(tag, hint);
    case "unreachable":
      return remote;
    default:
      return remote satisfies never;
  }
}

function unknownTag(tag: Tag, hint: string): Resolution {
  return { kind: "unknown-tag", message: `no tag ${JSON.stringify(tag)}: ${hint}` };
}

function pinOf(text: string): Pin {
  const pin = parsePin(text);
  if (pin === undefined) throw new Error(`not a pin: ${text}`);
  return pin;
}
