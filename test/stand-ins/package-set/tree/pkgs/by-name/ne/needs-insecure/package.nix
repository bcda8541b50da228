# A package that is fine itself, and depends on one that is refused.
{ lib, stdenv, insecure-tool }:

stdenv.mkDerivation {
  pname = "needs-insecure";
  version = "2.0";
  buildInputs = [ insecure-tool ];
  programs = [ "needs-insecure" ];
  meta = { description = "Depends on insecure-tool"; license = lib.licenses.mit; platforms = lib.platforms.all; };
}
