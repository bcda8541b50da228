# A package that is fine itself, and depends on one that is refused.
{ lib, stdenv, unsupported-tool }:

stdenv.mkDerivation {
  pname = "needs-unsupported";
  version = "2.0";
  buildInputs = [ unsupported-tool ];
  programs = [ "needs-unsupported" ];
  meta = { description = "Depends on unsupported-tool"; license = lib.licenses.mit; platforms = lib.platforms.all; };
}
