// Interpreters and modules that are named together, run: by the Debian-backed set's Python and perl, which
// look for modules as nixpkgs' do, and with programs beside them that bring modules of their own.

import { mkdtemp, realpath, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../skip-where.ts";
import { missingClient, podmanOptions, podmanReset, runClient } from "./clients.ts";
import { removeStorage } from "./daemon.ts";
import { DEBIAN_SET, type Deployment, deploy } from "./deployment.ts";
import { makeForeignWheel, missingCompilers } from "./foreign-wheel.ts";

/**
 * As nixpkgs' builders leave them: a module `runner` with a program; an application `tool`, whose program
 * adds the folders of its own modules; and a module for a Python that is in no image.
 */
const SET = `{ system ? builtins.currentSystem, ... }:
  let
    debian = import DEBIAN { inherit system; };
    inherit (debian.python3Packages) six;
    python = builtins.head (builtins.match "(python[0-9.]+)-.*" six.name);
    make = program: name: site: script: derivation {
      inherit name system;
      builder = "/bin/sh";
      PATH = "/bin:/usr/bin";
      version = "1.0";
      inherit script;
      args = [ "-ec" ''
        mkdir -p $out/bin $out/lib/\${site}/site-packages
        echo "version = '$name'" > $out/lib/\${site}/site-packages/six.py
        wrapped=$out/bin/.\${program}-wrapped
        printf '%s\\n' '#!\${debian.python3}/bin/python3' "$script" > $wrapped
        printf '%s\\n' '#!\${debian.bash}/bin/sh' "exec $wrapped" > $out/bin/\${program}
        chmod 755 $wrapped $out/bin/\${program}
      '' ];
    };
  in debian // {
    python3Packages = debian.python3Packages // {
      runner = make "runner" "\${python}-runner-1.0" "none" "import markupsafe, six; print(six.__file__)";
      stranger = make "stranger" "python3.99-stranger-1.0" "python3.99" "";
    };
    tool = make "tool" "tool-1.0" python
      "import os, site; site.addsitedir(os.path.dirname(__file__) + '/../lib/\${python}/site-packages'); import six; print(six.version)";
  }`;

const MODULES = ["six", "requests", "markupsafe", "runner", "stranger"];
const IMAGE = [
  ...["shell", "perl", "perlpackages.jsonxs", "python3", "tool"],
  ...MODULES.map((name) => `python3packages.${name}`),
].join("/");

let deployment: Deployment;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-modules-"));
  const packages = await mkdtemp(join(scratch, "set-"));
  const set = SET.replace("DEBIAN", await realpath(DEBIAN_SET));
  await writeFile(join(packages, "default.nix"), set);
  deployment = await deploy({ packages });
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
});

afterAll(async () => {
  await deployment?.close();
  if (missingClient("podman") === false) podmanReset(scratch);
  if (scratch) await removeStorage(scratch);
});

const needsRoot = process.getuid?.() === 0 ? false : "unpacking with owners needs root";

describe("modules", skipWhere(needsRoot || missingClient("podman")), () => {
  const run = (image: string, script: string, ...options: readonly string[]) => {
    const { host } = new URL(deployment.edgeUrl);
    const { code, stdout, stderr } = runClient("podman", [
      ...podmanOptions(scratch),
      ...["run", "--rm", "--network=none", "--tls-verify=false", "--quiet"],
      ...["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"],
      ...[...options, `${host}/${image}`, "bash", "-ec", script],
    ]);
    expect(code, stderr).toBe(0);
    expect(stderr).toBe("");
    return stdout.trim();
  };
  const python = (code: string) => `python3 -c '${code}'`;

  test.for([
    {
      what: "finds one that is named",
      script: python("import six; print(six.__file__)"),
      says: /^\/lib\/python3\.\d+\/site-packages\/six\.py$/,
    },
    {
      what: "finds what a named one needs",
      script: python("import requests, urllib3; print(urllib3.__file__)"),
      says: /^\/nix\/store\/[^/]+-urllib3-[^/]+\/lib\//,
    },
    {
      what: "finds one with compiled parts",
      script: python("import markupsafe._speedups as m; print(m.__file__)"),
      says: /\.so$/,
    },
    {
      what: "finds them in what it starts itself",
      script: python(
        'import subprocess, sys; subprocess.run([sys.executable, "-c", "import six; print(1)"])',
      ),
      says: /^1$/,
    },
    {
      what: "finds them by a name of its own, for a script",
      script:
        "printf '#!/usr/bin/env python\\nimport six; print(2)' > /tmp/s; chmod +x /tmp/s; /tmp/s",
      says: /^2$/,
    },
    {
      what: "finds them in the program of a module",
      script: "runner",
      says: /^\/lib\/python3\.\d+\/site-packages\/six\.py$/,
    },
    {
      what: "leaves those of an application to it",
      script: "tool",
      says: /^tool-1\.0$/,
    },
    {
      what: "is not led to those of another version",
      script: python('import sys; print([p for p in sys.path if "3.99" in p])'),
      says: /^\[\]$/,
    },
    {
      what: "has none in a virtual environment",
      script:
        "python3 -m venv --without-pip /tmp/v; /tmp/v/bin/python -c 'import six' 2>&1 | tail -1",
      says: /^ModuleNotFoundError: /,
    },
    {
      what: "has them in a virtual environment that asks for the system's",
      script:
        "python3 -m venv --system-site-packages --without-pip /tmp/v; /tmp/v/bin/python -c 'import requests; print(3)'",
      says: /^3$/,
    },
  ])("Python $what", ({ script, says }) => {
    expect(run(IMAGE, script, "--user=65532", "--read-only")).toMatch(says);
  });

  test(
    "Python installs a wheel with parts that Nix did not build",
    skipWhere(missingCompilers),
    async () => {
      const wheel = join(scratch, "wheel");
      await makeForeignWheel(wheel);
      const script = [
        "cd /opt/wheel; python3 -m zipfile -c /tmp/foreign-1.0-py3-none-any.whl *; cd /",
        "python3 -m venv /tmp/v; PATH=/tmp/v/bin:$PATH",
        "pip --disable-pip-version-check --quiet install --no-index /tmp/foreign-1.0-py3-none-any.whl",
        "python -c 'import foreign.c; print(1)'; foreign",
        // As docs/images.md says: nixpkgs' Python looks nowhere for libraries.
        "LD_LIBRARY_PATH=/lib python -c 'import foreign.cxx; print(2)'",
        "python -c 'import foreign.cxx' 2>&1 | tail -1",
      ].join("\n");
      const output = run("shell/fhs/python3", script, "--volume", `${wheel}:/opt/wheel:ro`);
      expect(output.split("\n")).toStrictEqual([
        ...["1", "program", "2"],
        expect.stringMatching(/^ImportError: libstdc/),
      ]);
    },
  );

  test("perl finds one with compiled parts, and what it needs", () => {
    const script = "perl -MJSON::XS -MTypes::Serialiser -e 'print encode_json([1])'";
    expect(run(IMAGE, script)).toBe("[1]");
  });

  test("Python and perl are told of none where none is named", () => {
    const script = 'echo "$NIX_PYTHONPATH$PERL5LIB."; test -e /share/nixport || echo none';
    expect(run("shell/perl/python3/tool", script)).toBe(".\nnone");
  });
});
