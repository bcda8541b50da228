// A git repository with a package set of many small packages, of which a test changes one: p1, p2, …
// on one library, which is large enough for a layer of its own. One revision can make builders wait until the test lets them go on.

import { spawnSync } from "node:child_process";
import { chmod, open } from "node:fs/promises";
import { join } from "node:path";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { SHELL_BUILDER } from "../nix/sandbox-shell.ts";
import { createRepository } from "../sources/git-repository.ts";

const SYSTEM = process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux";

export interface NumberedSet {
  readonly path: string;
  /**
   * Commits the set with these changes, by package: text that becomes part of the package, `wait`
   * for a builder that waits first, `fail` for one that fails, `throw` for no derivation at all.
   */
  commit(changes?: Readonly<Record<string, string>>): Promise<string>;
  /** Lets one waiting builder go on. */
  open(): Promise<void>;
}

function expression(salt: string, count: number, changes: Readonly<Record<string, string>>) {
  return `let
    make = name: script: extra: derivation ({
      inherit name; system = "${SYSTEM}"; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
      salt = "${salt}"; args = [ "-c" script ];
    } // extra);
    changes = builtins.fromJSON ''${JSON.stringify(changes)}'';
    before = change: {
      wait = "read line < ${salt}/gate;";
      fail = "echo this went wrong; exit 7;";
    }.\${change} or "";
    library = make "library-1.0" "mkdir $out; head -c 2000000 /dev/zero > $out/library.so" { };
    numbered = name:
      let change = changes.\${name} or ""; in
      if change == "throw" then throw "\${name} was renamed"
      else make "\${name}-1.0"
        "\${before change} mkdir -p $out/bin; echo \${change} $library > $out/bin/\${name}"
        { inherit library; };
    etc = name: make name "mkdir -p $out/etc; echo \${name} > $out/etc/\${name}" { };
  in {
    cacert = etc "nss-cacert-1.0";
    iana-etc = etc "iana-etc-1.0";
  } // builtins.listToAttrs (builtins.genList
    (n: rec { name = "p\${toString (n + 1)}"; value = numbered name; }) ${count})`;
}

export async function plantNumberedSet(onEnd: Ending, count: number): Promise<NumberedSet> {
  const repository = await createRepository(onEnd);
  // Beside the repository, and open for builders that run as users of their own.
  const salt = await temporaryDirectory(onEnd);
  await chmod(salt, 0o755);
  const gate = join(salt, "gate");
  spawnSync("mkfifo", ["--mode=666", gate]);
  return {
    path: repository.path,
    commit: (changes = {}) => repository.commit(expression(salt, count, changes)),
    async open() {
      // Read and write, so that opening never waits for the other side.
      const opened = await open(gate, "r+");
      onEnd(() => opened.close());
      await opened.write("go\n");
    },
  };
}
