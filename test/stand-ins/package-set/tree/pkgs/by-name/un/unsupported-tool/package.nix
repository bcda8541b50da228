# Refused on Linux.
{ lib, stdenv }:

stdenv.mkDerivation {
  pname = "unsupported-tool";
  version = "4.0";
  programs = [ "unsupported-tool" ];
  meta = { description = "For another system"; license = lib.licenses.mit; platforms = lib.platforms.darwin; };
}
