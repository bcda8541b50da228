# The packages of a language whose set is generated whole, in one file of thousands of lines.
{ lib, pkgs, newScope }:

lib.makeScope newScope (self:
  let
    mkDerivation = { pname, version, libraryHaskellDepends ? [ ], executables ? [ ], description, broken ? false }:
      pkgs.stdenv.mkDerivation {
        inherit pname version;
        outputs = if executables == [ ] then [ "out" "doc" ] else [ "out" "bin" ];
        programs = executables;
        files = [ "lib/ghc/${pname}.a" ];
        buildInputs = [ pkgs.gmp ];
        propagatedBuildInputs = libraryHaskellDepends;
        meta = { inherit description broken; license = lib.licenses.bsd3; platforms = lib.platforms.linux; };
      };
  in import ./hackage-packages.nix { inherit mkDerivation; inherit (self) callPackage; } self)
