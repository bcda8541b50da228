// An origin as main.ts puts it together, on a small package set that the machine's own Nix builds:
// one set with a shell, programs that share a library, and packages that cannot be had.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, expect } from "vitest";
import { type EnvironmentVariables, readConfig } from "../../origin/configuration/config.ts";
import { type Origin, startOrigin } from "../../origin/main.ts";
import type { Source } from "../../origin/sources/source.ts";
import { READS_ZSTD } from "../registry/fixture.ts";
import { type Ending, type LogLine, readableLog, temporaryDirectory } from "./fixture.ts";
import { SHELL_BUILDER } from "./nix/sandbox-shell.ts";

const SYSTEM = process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux";
export const REPOSITORY_PREFIX = process.arch === "arm64" ? "arm64/" : "";

/** Nothing that a test builds is in a cache, and asking for it would only cost time. */
export const ENV: Readonly<Record<string, string>> = {
  PATH: process.env.PATH ?? "",
  HOME: process.env.HOME ?? "/root",
  NIX_CONFIG: "sandbox = false\nsubstituters =\nmax-jobs = 2\ndownload-attempts = 1\n",
};

/** `salt` makes everything build anew. */
function packageSet(salt: string): string {
  return `let
    make = name: script: extra: derivation ({
      inherit name; system = "${SYSTEM}"; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
      salt = "${salt}"; args = [ "-c" script ];
    } // extra) // { version = "1.0"; meta.license.spdxId = "MIT"; };
    file = path: "mkdir -p $(dirname $out/\${path}); echo \${path} > $out/\${path}; chmod 755 $out/\${path}";
    shared = make "shared-1.0" "mkdir $out; dd if=/dev/zero of=$out/data bs=1M count=2 2>$out/log; rm $out/log" { };
    program = name: make "\${name}-1.0" (file "bin/\${name}" + "; echo $shared > $out/bin/.needs") { inherit shared; };
  in {
    cacert = make "nss-cacert-1.0" (file "etc/ssl/certs/ca-bundle.crt") { };
    iana-etc = make "iana-etc-1.0" (file "etc/protocols") { };
    hello = program "hello";
    hullo = program "hullo";
    heavy = make "heavy-1.0" (file "bin/heavy" + "; echo $half > $out/bin/.needs") { half =
      make "half-1.0" "mkdir $out; dd if=/dev/zero of=$out/data bs=100k count=4 2>$out/log; rm $out/log" { }; };
    sh = make "sh-1.0" (file "bin/sh") { };
    tools = make "tools-1.0" ("mkdir -p $doc; " + file "bin/tool") { outputs = [ "out" "doc" ]; }
      // { meta.outputsToInstall = [ "out" "doc" ]; };
    nested.Inner = program "inner";
  }`;
}

/**
 * A folder with the set; `shared` is large, so that it has a layer of its own; and so has what `heavy`
 * alone needs where nothing is known of who else might.
 */
export async function plantSet(onEnd: Ending): Promise<string> {
  const path = await temporaryDirectory(onEnd);
  await writeFile(join(path, "default.nix"), packageSet(path));
  return path;
}

export interface House {
  readonly origin: Origin;
  readonly statePath: string;
  /** Every program of Nix that was started, with its first argument. */
  readonly started: string[];
  readonly lines: readonly LogLine[];
  /** The store paths that were packed into layers, one list for each layer. */
  packed(): readonly (readonly string[])[];
  /** Requests that have not been answered. */
  pending(): number;
  forget(): void;
  /** Sets the origin's clock forward. */
  pass(ms: number): void;
  /** As a client that reads zstd, unless the headers name another. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** The manifest of a name, which must be answered with 200. */
  pull(name: string, headers?: Readonly<Record<string, string>>): Promise<Pulled>;
}

export interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

export interface Pulled {
  readonly digest: string;
  readonly pin: string;
  readonly manifest: {
    readonly config: Descriptor;
    readonly layers: readonly Descriptor[];
    readonly mediaType: string;
  };
}

/** What no variable of the environment can say. */
export interface Overrides {
  /** Such as nixpkgs elsewhere than on GitHub. */
  readonly source?: Source;
  readonly env?: Readonly<Record<string, string>>;
}

export async function startHouse(
  onEnd: Ending,
  setPath: string,
  statePath: string,
  variables: EnvironmentVariables = {},
  over: Overrides = {},
): Promise<House> {
  const settings = { NIXERY_PKGS_PATH: setPath, NIXPORT_STATE: statePath, PORT: "0" };
  const result = readConfig({
    ...settings,
    NIXPORT_PACK_WORKERS: "1",
    NIXPORT_INDEX: "off",
    ...variables,
  });
  assert(result.kind === "config", JSON.stringify(result));
  const { log, lines } = readableLog();
  const started: string[] = [];
  const onSpawn = (program: string, args: readonly string[]) => {
    started.push(`${program} ${args[0]}`);
  };
  let passedMs = 0;
  const now = () => Date.now() + passedMs;
  const config = { ...result.config, ...(over.source && { source: over.source }) };
  const env = { ...ENV, ...over.env };
  const origin = await startOrigin({ config, env, log, onSpawn, now });
  onEnd(() => origin.close());
  started.length = 0;
  const request = (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (!headers.has("User-Agent")) headers.set("User-Agent", READS_ZSTD);
    return fetch(`${origin.url}${path}`, { ...init, headers });
  };
  return {
    ...{ origin, statePath, started, lines, request },
    packed: () =>
      lines.filter(({ msg }) => msg === "packed").map((line) => line.storePaths as string[]),
    pending() {
      const count = (what: string) => lines.filter(({ msg }) => msg === what).length;
      return count("asked") - count("answered");
    },
    forget() {
      started.length = 0;
      lines.length = 0;
    },
    pass(ms) {
      passedMs += ms;
    },
    async pull(name, headers = {}) {
      const path = `/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`;
      const response = await request(path, { headers });
      const text = await response.text();
      expect(response.status, text).toBe(200);
      return {
        digest: response.headers.get("Docker-Content-Digest") ?? "",
        pin: response.headers.get("Nixport-Pin") ?? "",
        manifest: JSON.parse(text),
      };
    },
  };
}
