# Refused until `allowBroken`.
{ lib, stdenv }:

stdenv.mkDerivation {
  pname = "broken-tool";
  version = "0.9";
  programs = [ "broken-tool" ];
  meta = { description = "Has not been built for years"; broken = true; license = lib.licenses.mit; platforms = lib.platforms.linux; };
}
