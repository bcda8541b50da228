// What an evaluation has fetched and built meanwhile, and what is no fault of the package where that
// fails: real Nix, a real cache, a port that is closed.

import { assert, describe, expect, onTestFinished, test } from "vitest";
import { type LookupStopped, lookUp } from "../../../origin/nix/look-up.ts";
import type { Lookup } from "../../../registry/image/lookup.ts";
import { skipWhere } from "../../skip-where.ts";
import { openLoneCache } from "../../stand-ins/lone-cache.ts";
import { missingWorld } from "../../stand-ins/world.ts";
import { derivation, packageSet, SYSTEM, tempDir, testNix } from "./fixture.ts";
import { hidesHost } from "./sandbox-shell.ts";

const limit = { timeout: 60_000, ...skipWhere(missingWorld() || hidesHost) };
const never = AbortSignal.any([]);

/** Each is what an expression says that must be built first. */
function packages(salt: string): string {
  const good = derivation("good-1", "echo > $out", `salt = "${salt}";`);
  const made = (name: string, script: string) => derivation(name, script, `salt = "${salt}";`);
  return `let
    import' = file: import file;
    source = builtins.derivation {
      name = "source"; system = "builtin"; builder = "builtin:fetchurl";
      url = "http://127.0.0.1:1/source.nix"; salt = "${salt}"; executable = false; unpack = false;
      outputHashMode = "flat"; outputHashAlgo = "sha256";
      outputHash = "0000000000000000000000000000000000000000000000000000";
    };
  in {
    good = ${good};
    imported = builtins.seq (import' ${made("imported.nix", "echo 1 > $out")}) ${good};
    fetched = builtins.seq (import' source) ${good};
    killed = builtins.seq (import' ${made("killed.nix", "kill -9 $$")}) ${good};
    failing = builtins.seq (import' ${made("failing.nix", "exit 3")}) ${good};
  }`;
}

async function prepare() {
  const dir = await tempDir(onTestFinished);
  const cache = await openLoneCache(onTestFinished);
  const config = [
    ...["sandbox = false", "build-users-group =", "max-jobs = 2", "download-attempts = 1"],
    ...[`substituters = ${cache.url}`, `trusted-public-keys = ${cache.publicKey}`, ""],
  ];
  const env = { NIX_CONFIG: config.join("\n"), XDG_CACHE_HOME: dir };
  const nix = await testNix({ env });
  const source = await packageSet(onTestFinished, nix, packages(dir));
  const ask = async (name: string): Promise<Lookup | LookupStopped> => {
    const [found] = await lookUp(nix, source, SYSTEM, [name], never);
    assert(found !== undefined);
    return found.lookup;
  };
  return { cache, ask };
}

describe("an evaluation that builds", limit, () => {
  test("tells of a cache that fails, without its page, and goes on when that is mended", async () => {
    const { cache, ask } = await prepare();
    cache.fault(/narinfo/, { kind: "status", status: 500 });
    const host = new URL(cache.url).host;
    expect(await ask("imported")).toStrictEqual({
      ...{ kind: "cache-failed", cache: host, reason: "HTTP error 500" },
    });
    cache.mend();
    expect((await ask("imported")).kind).toBe("found");
  });

  test("tells of a source that cannot be downloaded", async () => {
    const { ask } = await prepare();
    const lookup = await ask("fetched");
    assert(lookup.kind === "source-unreachable", JSON.stringify(lookup));
    expect(lookup.reason).toMatch(/^unable to download 'http:\/\/127\.0\.0\.1:1\/source\.nix'/);
  });

  test("tells of a builder that was killed, and not of one that failed", async () => {
    const { ask } = await prepare();
    expect(await ask("killed")).toStrictEqual({
      kind: "host-failed",
      reason: "a builder was killed, most likely for want of memory",
    });
    expect((await ask("failing")).kind).toBe("evaluation-failed");
  });
});
