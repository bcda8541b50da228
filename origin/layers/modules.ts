// Modules of interpreters: of which a part brings some, and what its view has besides its own files so that
// they are found with all that they need.
//
// Both interpreters of nixpkgs look into folders that a variable names, which the config has for images with
// modules. perl looks there for a folder of its own version, so it is told of the view's own. Python takes
// what it is told of, whichever version it has: so it is told of a program that chooses the folder.

import type { ModuleKind } from "../../registry/image/record.ts";
import { type StorePath, storePathBase, storePathName } from "../../registry/naming/store-path.ts";
import type { ByteString } from "./byte-string.ts";
import type { ClosureFiles } from "./closure-files.ts";
import type { ArchiveEntry } from "./entries.ts";
import { propagatedBy } from "./propagated.ts";
import { walkTree } from "./view.ts";

export interface Modules {
  readonly kinds: readonly ModuleKind[];
  /** To be shown below what the outputs have themselves, the first on top. */
  readonly entries: readonly (readonly ArchiveEntry[])[];
}

/** `shown` are the entries of the outputs' own files. */
export function readModules(
  files: ClosureFiles,
  outputs: readonly StorePath[],
  shown: readonly ArchiveEntry[],
): Modules {
  const perl = isPerlShown(shown) ? propagatedBy(files, outputs, "environment") : null;
  const python = outputs.flatMap((output) => pythonFolders(files, output) ?? []);
  return {
    kinds: [
      ...(perl === null ? [] : (["perl"] as const)),
      ...(python.length === 0 ? [] : (["python"] as const)),
    ],
    entries: [
      ...(perl ?? []).map((path) => perlEntries(files, path)),
      ...(python.length === 0 ? [] : [python.flatMap((each) => listEntry(files, each)), CHOOSER]),
    ],
  };
}

/** Of all versions. perl's own are elsewhere, and it has this folder without a file. */
const PERL_MODULES = "lib/perl5/site_perl";

function isPerlShown(shown: readonly ArchiveEntry[]): boolean {
  return shown.some(({ kind, path }) => kind === "link" && path.startsWith(`${PERL_MODULES}/`));
}

function perlEntries(files: ClosureFiles, root: StorePath): readonly ArchiveEntry[] {
  const folder = files.resolve(`${root}/${PERL_MODULES}`);
  if (folder?.kind !== "directory") return [];
  const entries = walkTree(files, root, folder.path, PERL_MODULES);
  // What is too large for a view is no module.
  return typeof entries === "string" ? [] : entries;
}

/**
 * nixpkgs builds modules under such names, with what their set has, and applications under others: these
 * bring modules of their own choice, which are nobody else's.
 */
const PYTHON_MODULE = /^python(\d+\.\d+)-./;

interface PythonFolders {
  readonly output: StorePath;
  /** Where the view has the output's own modules. */
  readonly shown: ByteString;
  /** Where those are that it needs. */
  readonly needed: readonly ByteString[];
}

/** Undefined where an output is no module. */
function pythonFolders(files: ClosureFiles, output: StorePath): PythonFolders | undefined {
  const [, version] = PYTHON_MODULE.exec(storePathName(output)) ?? [];
  if (version === undefined) return undefined;
  const library = `lib/python${version}`;
  const folderOf = (path: StorePath) => {
    const isInterpreter = files.resolve(`${path}/${library}/os.py`) !== undefined;
    const found = files.resolve(`${path}/${library}/site-packages`);
    return found?.kind === "directory" && !isInterpreter ? [found.path] : [];
  };
  if (folderOf(output).length === 0) return undefined;
  const needed = propagatedBy(files, [output], "build").flatMap(folderOf);
  return { output, shown: `${library}/site-packages`, needed };
}

/** Links would be many: Python itself reads lists of folders, whatever their names before the dot. */
function listEntry(
  files: ClosureFiles,
  { output, shown, needed }: PythonFolders,
): readonly ArchiveEntry[] {
  if (needed.length === 0) return [];
  const lines = needed.map((folder) => {
    const hasLists = files.names(folder).some((name) => name.endsWith(".pth"));
    return hasLists ? `import site; site.addsitedir("${folder}")\n` : `${folder}\n`;
  });
  return [textFile(`${shown}/${storePathBase(output)}.pth`, lines.join(""))];
}

/** Where NIX_PYTHONPATH leads (default-config.ts). */
const CHOOSER: readonly ArchiveEntry[] = [
  textFile("share/nixport/python/nixport.pth", "import nixport_modules\n"),
  textFile(
    "share/nixport/python/nixport_modules.py",
    `# Run by a Python of nixpkgs at its start, since NIX_PYTHONPATH names this folder.
import os
import site
import sys


def is_of_application():
    """Whether this runs a program of the store that no module brought: it has all modules it needs."""
    words = (word for word in getattr(sys, "orig_argv", [])[1:] if not word.startswith("-"))
    folders = next(words, "").split("/")
    if folders[:3] != ["", "nix", "store"] or len(folders) < 5:
        return False
    return not folders[3][33:].startswith("python%d.%d-" % sys.version_info[:2])


# The interpreter has taken the variable away, which those that it starts need as well.
os.environ["NIX_PYTHONPATH"] = os.path.dirname(__file__)
if not is_of_application():
    site.addsitedir("/lib/python%d.%d/site-packages" % sys.version_info[:2])
`,
  ),
];

function textFile(path: ByteString, text: string): ArchiveEntry {
  return { kind: "file", path, mode: 0o644, content: new TextEncoder().encode(text) };
}
