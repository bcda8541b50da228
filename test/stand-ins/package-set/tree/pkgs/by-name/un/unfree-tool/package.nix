# Refused until `allowUnfree`, and in no cache.
{ lib, stdenv }:

stdenv.mkDerivation {
  pname = "unfree-tool";
  version = "7.1";
  programs = [ "unfree-tool" ];
  meta = { description = "Belongs to somebody"; license = lib.licenses.unfree; platforms = lib.platforms.linux; };
}
