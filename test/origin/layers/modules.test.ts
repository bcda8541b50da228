// What a part brings of interpreters' modules, in trees such as nixpkgs' builders leave.

import { assert, describe, expect, test } from "vitest";
import { readPartView } from "../../../origin/layers/part-view.ts";
import { plant, storePath, type Tree, temporaryDirectory } from "./fixture.ts";

const dir = (holds: Record<string, Tree>): Tree => ({ holds });
const at = (name: string) => `/nix/store/${"0".repeat(32)}-${name}`;
const lists = (kind: "build-inputs" | "user-env-packages", ...names: readonly string[]) => ({
  "nix-support": dir({ [`propagated-${kind}`]: ` ${names.map(at).join(" ")}\n` }),
});
const site = (version: string, holds: Record<string, Tree>) =>
  dir({ lib: dir({ [`python${version}`]: dir({ "site-packages": dir(holds) }) }) });
const needing = (tree: Tree, ...names: readonly string[]): Tree => {
  assert(typeof tree === "object" && "holds" in tree);
  return dir({ ...tree.holds, ...lists("build-inputs", ...names) });
};
const perl = (holds: Record<string, Tree>, ...names: readonly string[]) =>
  dir({
    lib: dir({ perl5: dir({ site_perl: dir({ "5.40.0": dir(holds) }) }) }),
    ...lists("user-env-packages", ...names),
  });
/** Of nixpkgs: with the folder of modules, and its own elsewhere. */
const PYTHON = dir({
  lib: dir({
    "python3.12": dir({ "os.py": "", "site-packages": dir({ "sitecustomize.py": "" }) }),
  }),
});

function partView(named: Readonly<Record<string, Tree>>, needed: Readonly<Record<string, Tree>>) {
  const store = temporaryDirectory();
  const plantAll = (trees: Readonly<Record<string, Tree>>) =>
    Object.entries(trees).map(([name, tree]) => plant(store, storePath(name), tree));
  const outputs = plantAll(named);
  const closure = [...outputs, ...plantAll(needed)];
  const result = readPartView({ kind: "package", outputs }, closure, store);
  assert(result.kind === "view");
  const files = new Map(
    (result.view.entries ?? []).flatMap((entry) => {
      if (entry.kind === "directory") return [];
      if (entry.kind === "link") return [[entry.path, `-> ${entry.target.slice(44)}`]];
      return [[entry.path, new TextDecoder().decode(entry.content)]];
    }),
  );
  return { files, modules: result.view.modules };
}

const list = (module: string) => `lib/python3.12/site-packages/${at(module).slice(11)}.pth`;
const CHOOSER = ["share/nixport/python/nixport.pth", "share/nixport/python/nixport_modules.py"];

describe("modules of Python", () => {
  const needed = {
    "python3-3.12.8": PYTHON,
    "python3.12-idna-3.10": site("3.12", { "idna.py": "" }),
    "python3.12-urllib3-2.3": needing(site("3.12", { "urllib3.py": "" }), "python3.12-zope-5.0"),
    "python3.12-zope-5.0": site("3.12", { "zope-nspkg.pth": "", zope: dir({}) }),
    "openssl-3.4": dir({ lib: dir({ "libssl.so": "" }) }),
  };

  test("are found with all that they need in turn, but for the interpreter and libraries", () => {
    const requests = needing(
      site("3.12", { "requests.py": "" }),
      ...["python3-3.12.8", "python3.12-urllib3-2.3", "python3.12-idna-3.10", "openssl-3.4"],
      // In a list, and in no closure.
      "python3.12-lost-1.0",
    );
    const { files, modules } = partView({ "python3.12-requests-2.32": requests }, needed);
    expect(modules).toStrictEqual(["python"]);
    const names = ["lib/python3.12/site-packages/requests.py", list("python3.12-requests-2.32")];
    expect([...files.keys()].sort()).toStrictEqual([...names.sort(), ...CHOOSER].sort());
    expect(files.get(list("python3.12-requests-2.32"))?.split("\n")).toStrictEqual([
      `${at("python3.12-urllib3-2.3")}/lib/python3.12/site-packages`,
      `${at("python3.12-idna-3.10")}/lib/python3.12/site-packages`,
      // Its own .pth files are read too.
      `import site; site.addsitedir("${at("python3.12-zope-5.0")}/lib/python3.12/site-packages")`,
      "",
    ]);
  });

  test.for([
    { what: "an application, whose modules are its own", name: "awscli2-2.22" },
    { what: "an interpreter", name: "python3-3.12.9" },
    { what: "a module of another version than its folder", name: "python3.11-requests-2.32" },
  ])("are not those of $what", ({ name }) => {
    const tree = needing(site("3.12", { "requests.py": "" }), "python3.12-idna-3.10");
    const { files, modules } = partView({ [name]: tree }, needed);
    expect(modules).toStrictEqual([]);
    expect([...files.keys()]).toStrictEqual(["lib/python3.12/site-packages/requests.py"]);
  });

  test("show nothing where the output has a file in the way", () => {
    const tree = dir({
      lib: dir({ "python3.12": dir({ "site-packages": dir({}) }) }),
      share: dir({ nixport: "text" }),
    });
    const { files } = partView({ "python3.12-odd-1.0": tree }, {});
    expect(files.get("share/nixport")).toBe("-> python3.12-odd-1.0/share/nixport");
    expect([...files.keys()].filter((path) => path.startsWith("share/nixport/"))).toStrictEqual([]);
  });
});

describe("modules of perl", () => {
  const needed = {
    "perl-5.40.0": dir({ bin: dir({ perl: { program: "" } }) }),
    "perl5.40.0-URI-5.31": perl({ "URI.pm": "", "Shared.pm": "" }, "perl5.40.0-MIME-3.16"),
    "perl5.40.0-MIME-3.16": perl({ arch: dir({ "MIME.so": "" }) }, "perl5.40.0-URI-5.31"),
  };

  test("are shown with those that nix-env would install with them, below their own", () => {
    const lwp = perl({ "LWP.pm": "", "Shared.pm": "" }, "perl5.40.0-URI-5.31", "perl-5.40.0");
    const { files, modules } = partView({ "perl5.40.0-LWP-6.77": lwp }, needed);
    expect(modules).toStrictEqual(["perl"]);
    const folder = "lib/perl5/site_perl/5.40.0";
    expect(Object.fromEntries(files)).toStrictEqual({
      [`${folder}/LWP.pm`]: `-> perl5.40.0-LWP-6.77/${folder}/LWP.pm`,
      [`${folder}/Shared.pm`]: `-> perl5.40.0-LWP-6.77/${folder}/Shared.pm`,
      [`${folder}/URI.pm`]: `-> perl5.40.0-URI-5.31/${folder}/URI.pm`,
      [`${folder}/arch/MIME.so`]: `-> perl5.40.0-MIME-3.16/${folder}/arch/MIME.so`,
    });
  });

  test("are none in an interpreter's empty folder", () => {
    expect(partView({ "perl-5.40.1": perl({}) }, needed).modules).toStrictEqual([]);
  });
});
