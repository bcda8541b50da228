# An interpreter, and the set of its packages in `pkgs`.
{ lib, stdenv, newScope, openssl, zlib, ncurses, readline, sqlite, expat, libffi, bzip2, xz, bash }:

let
  self = stdenv.mkDerivation {
    pname = "python3";
    version = "3.13.9";
    buildInputs = [ openssl zlib ncurses readline sqlite expat libffi bzip2 xz bash ];
    programs = [ "python3" "python" "pydoc3" ];
    files = [ "lib/python3.13/os.py" "lib/python3.13/json/__init__.py" ];
    size = 1500000;
    passthru = {
      pythonVersion = "3.13";
      pkgs = lib.makeScope newScope (packages:
        import ../../../top-level/python-packages.nix {
          inherit lib;
          inherit (packages) callPackage;
          python = self;
          buildPythonPackage = { pname, version, dependencies ? [ ], description, ... }@attributes:
            stdenv.mkDerivation (removeAttrs attributes [ "dependencies" "description" "format" ] // {
              name = "python3.13-${pname}-${version}";
              files = [ "lib/python3.13/site-packages/${pname}/__init__.py" ];
              propagatedBuildInputs = [ self ] ++ dependencies;
              meta = { inherit description; license = lib.licenses.mit; platforms = lib.platforms.all; };
            });
        } packages);
      withPackages = choose: throw "this set has no environments of Python";
    };
    meta = {
      description = "A language";
      license = lib.licenses.psfl;
      mainProgram = "python3";
      platforms = lib.platforms.all;
    };
  };
in self
