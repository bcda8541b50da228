// From roots and an index to the graph of store paths, and what is computed from that graph.

import { describe, expect, test } from "vitest";
import { type Lock, nameWithoutVersion, popularityOf } from "../../../nix/debian/lock.ts";
import type { Packages } from "../../../nix/debian/package-graph.ts";
import { ROOTS } from "../../../nix/debian/packages.ts";
import { type Resolution, resolve } from "../../../nix/debian/resolve.ts";
import { index, stanza, tables } from "./fixture.ts";

const BASH = stanza("bash", { "Pre-Depends": "libc6" });
const LIBC = stanza("libc6");

function packagesOf(resolution: Resolution): Packages {
  expect(resolution.kind, JSON.stringify(resolution)).toBe("resolved");
  return resolution.kind === "resolved" ? resolution.packages : {};
}

function problemsOf(resolution: Resolution): readonly string[] {
  return resolution.kind === "failed" ? resolution.problems : [];
}

describe("resolve", () => {
  test("takes the first alternative that exists", () => {
    const made = index(
      BASH,
      LIBC,
      stanza("a", { Depends: "gone | b | c" }),
      stanza("b"),
      stanza("c"),
    );
    const packages = packagesOf(resolve(made, tables(["a"])));
    expect(packages.a?.dependencies).toStrictEqual(["b"]);
    expect(packages.c).toBeUndefined();
  });

  test("resolves a virtual name to a package that provides it", () => {
    const made = index(BASH, LIBC, stanza("a", { Depends: "v" }), stanza("b", { Provides: "v" }));
    expect(packagesOf(resolve(made, tables(["a"]))).a?.dependencies).toStrictEqual(["b"]);
  });

  test("leaves out a dependency that only maintainer scripts need, even as an alternative", () => {
    const made = index(BASH, LIBC, stanza("a", { Depends: "debconf | other" }), stanza("other"));
    const packages = packagesOf(resolve(made, tables(["a"], { skipped: [/^debconf$/] })));
    expect(packages.a?.dependencies).toStrictEqual([]);
  });

  test("adds and drops the dependencies the tables name", () => {
    const made = index(BASH, LIBC, stanza("a", { Depends: "b" }), stanza("b"), stanza("c"));
    const bent = { extraDependencies: { a: ["c"] }, droppedDependencies: { a: ["b"] } };
    expect(packagesOf(resolve(made, tables(["a"], bent))).a?.dependencies).toStrictEqual(["c"]);
  });

  test("names a module after its interpreter, by what of that one's version counts", () => {
    const made = index(
      ...[BASH, LIBC, stanza("interpreter", { Version: "1:5.36.0-7" })],
      stanza("module-a", { Depends: "module-b, interpreter", Version: "2.0-1" }),
      ...[stanza("module-b"), stanza("other")],
    );
    const family = { members: /^module-(.+)$/, prefix: "inter", version: /^\d+\.\d+/ };
    const roots = ["module-a", "other"];
    const namesWith = (interpreter: string) => {
      const moduleFamilies = [{ ...family, interpreter }];
      const packages = packagesOf(resolve(made, tables(roots, { moduleFamilies })));
      return ["module-a", "module-b", "other"].map((key) => {
        const { name, interpreter: of = "none" } = packages[key] ?? expect.unreachable();
        return `${name} ${of}`;
      });
    };
    expect(namesWith("interpreter")).toStrictEqual([
      ...["inter5.36-a-2.0-1 interpreter", "inter5.36-b-1.0-1 interpreter", "other-1.0-1 none"],
    ]);
    expect(namesWith("absent")).toStrictEqual([
      ...["module-a-2.0-1 none", "module-b-1.0-1 none", "other-1.0-1 none"],
    ]);
  });

  test("merges a group, with the version of its first pattern's member", () => {
    const made = index(
      BASH,
      LIBC,
      stanza("one", { Depends: "two, libc6", Version: "2.0-1" }),
      stanza("two", { Depends: "one" }),
    );
    const groups = [{ name: "both", members: [/^two$/, /^one$/] }];
    const both = packagesOf(resolve(made, tables(["one"], { groups }))).both;
    expect(both?.name).toBe("both-1.0-1");
    expect(both?.dependencies).toStrictEqual(["libc6"]);
    expect(both?.members.map((member) => member.name)).toStrictEqual(["two", "one"]);
  });

  test("gives the shell to all but its own closure and those that need none", () => {
    const made = index(BASH, LIBC, stanza("a"), stanza("data"));
    const packages = packagesOf(resolve(made, tables(["a", "data"], { withoutShell: ["data"] })));
    const shells = Object.entries(packages).map(([name, one]) => [name, one.shell]);
    expect(Object.fromEntries(shells)).toStrictEqual({
      a: true,
      bash: false,
      data: false,
      libc6: false,
    });
  });

  test("finds a root by the name that it provides, as releases differ in names", () => {
    const made = index(BASH, LIBC, stanza("libz1t64", { Provides: "libz1 (= 1)" }));
    const resolution = resolve(made, tables(["libz1"]));
    expect(packagesOf(resolution).libz1t64?.name).toBe("libz1t64-1.0-1");
    expect(resolution.kind === "resolved" && resolution.rootPackages.get("libz1")).toBe("libz1t64");
  });

  test("makes a package of our own out of another's .deb, without its dependencies", () => {
    const libc = stanza("libc6", { Version: "2.36-9", Depends: "libgcc-s1" });
    const made = index(BASH, libc, stanza("libgcc-s1"));
    const copies = { loader: { of: "libc6", description: "a loader" } };
    const packages = packagesOf(resolve(made, tables(["loader"], { copies })));
    expect(packages.loader?.name).toBe("loader-2.36-9");
    expect(packages.loader?.dependencies).toStrictEqual([]);
    expect(packages.loader?.members[0]?.url).toBe(packages.libc6?.members[0]?.url);
  });

  test("reports every missing package and dependency at once", () => {
    const made = index(BASH, LIBC, stanza("a", { Depends: "b, nowhere | nobody" }), stanza("b"));
    const problems = problemsOf(resolve(made, tables(["a", "absent"])));
    expect(problems).toHaveLength(2);
    expect(problems.some((line) => line.includes("absent"))).toBe(true);
    expect(problems.some((line) => line.includes("nowhere | nobody"))).toBe(true);
  });
});

// As trixie's index has them, with two of Debian's own circles.
const TRIXIE = [
  stanza("libssl3t64", {
    Version: "3.5.9-1~deb13u1",
    Depends: "libc6 (>= 2.38), libzstd1 (>= 1.5.5), zlib1g (>= 1:1.2.11), openssl-provider-legacy",
    Provides: "libssl3 (= 3.5.9-1~deb13u1)",
    "Multi-Arch": "same",
  }),
  stanza("openssl-provider-legacy", {
    Version: "3.5.9-1~deb13u1",
    Depends: "libc6 (>= 2.34), libssl3t64 (>= 3.4.0)",
  }),
  stanza("openssl", { Depends: "libc6 (>= 2.38), libssl3t64 (>= 3.5.9)" }),
  stanza("curl", { Depends: "libc6 (>= 2.34), libssl3t64 (>= 3.0.0), zlib1g" }),
  stanza("libzstd1", { Depends: "libc6" }),
  stanza("zlib1g", { Depends: "libc6" }),
  stanza("libc6", { Version: "2.41-12+deb13u5", Depends: "libgcc-s1" }),
  stanza("libgcc-s1", { Depends: "libc6 (>= 2.35)" }),
];

describe("packages that depend on one another in a circle", () => {
  const resolved = (roots: readonly string[], ...stanzas: readonly string[]): Packages =>
    packagesOf(resolve(index(BASH, ...TRIXIE, ...stanzas), tables(roots)));

  test("are one, under the name that most others ask for and with its version", () => {
    const packages = resolved(["openssl", "curl"]);
    const { name, merged, members, dependencies } = packages.libssl3t64 ?? {};
    expect(name).toBe("libssl3t64-3.5.9-1-deb13u1");
    expect(merged).toStrictEqual(["openssl-provider-legacy"]);
    expect(members?.map((member) => member.name)).toStrictEqual([
      "libssl3t64",
      "openssl-provider-legacy",
    ]);
    expect(dependencies).toStrictEqual(["libc6", "libzstd1", "zlib1g"]);
    expect(packages["openssl-provider-legacy"]).toBeUndefined();
    expect(packages.openssl?.merged).toBeUndefined();
  });

  test("are asked for under that name by whoever asked for another of them", () => {
    const legacy = stanza("legacy", { Depends: "openssl-provider-legacy" });
    const packages = resolved(["legacy", "openssl", "curl"], legacy);
    expect(packages.legacy?.dependencies).toStrictEqual(["libssl3t64"]);
  });

  test("are what a root is that is one of them", () => {
    const made = index(BASH, ...TRIXIE);
    const resolution = resolve(made, tables(["curl", "openssl", "openssl-provider-legacy"]));
    expect(resolution.kind).toBe("resolved");
    if (resolution.kind !== "resolved") return;
    expect(resolution.rootPackages.get("openssl-provider-legacy")).toBe("libssl3t64");
    expect(resolution.rootPackages.get("curl")).toBe("curl");
  });

  test("keep the name of a group, and of the shell before all", () => {
    const groups = [{ name: "glibc", members: [/^libc6$/] }];
    const bent = { groups, extraDependencies: { libc6: ["zlib1g"] } };
    const made = index(BASH, ...TRIXIE);
    const packages = packagesOf(resolve(made, tables(["curl"], bent)));
    expect(packages.glibc?.name).toBe("glibc-2.41-12+deb13u5");
    expect(packages.glibc?.merged).toStrictEqual(["libgcc-s1", "zlib1g"]);
    const withShell = { ...bent, extraDependencies: { libc6: ["bash"] } };
    expect(packagesOf(resolve(made, tables(["curl"], withShell))).bash?.merged).toContain("glibc");
  });

  test("leave the others in no circle, however many there are", () => {
    const packages = resolved(
      ["a", "x"],
      stanza("a", { Depends: "b" }),
      stanza("b", { Depends: "c, x" }),
      stanza("c", { Depends: "a" }),
      stanza("x", { Depends: "y" }),
      stanza("y", { Depends: "x, libc6" }),
    );
    expect(packages.a?.merged).toStrictEqual(["b", "c"]);
    expect(packages.a?.dependencies).toStrictEqual(["x"]);
    expect(packages.x?.merged).toStrictEqual(["y"]);
    expect(packages.libc6?.merged).toStrictEqual(["libgcc-s1"]);
  });
});

describe("popularityOf", () => {
  const DEB = { package: "", version: "", file: "", url: "", sizeBytes: 0, sha256: "" };
  test("counts in how many root packages' closures a store name occurs", () => {
    const entry = (name: string, dependencies: readonly string[]) => ({
      name,
      version: "1.0-1",
      description: "",
      dependencies,
      shell: false,
      debs: [],
    });
    const lock: Lock = {
      formatVersion: 1,
      architecture: "amd64",
      multiarch: "",
      loader: "",
      shell: "a",
      busybox: DEB,
      tools: [],
      // An alias of a package is not a second root.
      attributes: {
        ...{ a: { package: "a" }, alias: { package: "a" }, Set: { b: { package: "b" } } },
        modules: { c: { package: "c" } },
      },
      packages: {
        a: entry("a-1.0-1", ["libx-2-0"]),
        b: entry("b-1.0-1", ["libx-2-0", "libx-3-0"]),
        c: entry("c-1.0-1", ["a"]),
        "libx-2-0": entry("libx-2-0-1.0-1", []),
        "libx-3-0": entry("libx-3-0-1.0-1", []),
      },
    };
    expect(popularityOf(lock, [/^modules\./])).toStrictEqual({ a: 1, b: 1, libx: 2 });
    expect(popularityOf(lock, [])).toStrictEqual({ a: 2, b: 1, c: 1, libx: 3 });
  });

  test("cuts names as Nix does", () => {
    const names = ["git-2.39.5-0+deb12u3", "nss-cacert-2025", "libnl-genl-3-200-3.7.0", "tty"];
    expect(names.map(nameWithoutVersion)).toStrictEqual(["git", "nss-cacert", "libnl-genl", "tty"]);
  });
});

describe("ROOTS", () => {
  test("names each attribute once, and below a package only its outputs", () => {
    const names = ROOTS.map(([attribute]) => attribute);
    expect(new Set(names).size).toBe(names.length);
    const below = names.filter((name) => names.some((one) => name.startsWith(`${one}.`)));
    expect(below.filter((name) => !/\.(bin|lib|out)$/.test(name))).toStrictEqual([]);
  });
});
