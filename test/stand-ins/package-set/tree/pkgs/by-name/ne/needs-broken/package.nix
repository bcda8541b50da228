# A package that is fine itself, and depends on one that is refused.
{ lib, stdenv, broken-tool }:

stdenv.mkDerivation {
  pname = "needs-broken";
  version = "2.0";
  buildInputs = [ broken-tool ];
  programs = [ "needs-broken" ];
  meta = { description = "Depends on broken-tool"; license = lib.licenses.mit; platforms = lib.platforms.all; };
}
