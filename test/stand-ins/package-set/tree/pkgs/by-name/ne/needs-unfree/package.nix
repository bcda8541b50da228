# A package that is fine itself, and depends on one that is refused.
{ lib, stdenv, unfree-tool }:

stdenv.mkDerivation {
  pname = "needs-unfree";
  version = "2.0";
  buildInputs = [ unfree-tool ];
  programs = [ "needs-unfree" ];
  meta = { description = "Depends on unfree-tool"; license = lib.licenses.mit; platforms = lib.platforms.all; };
}
