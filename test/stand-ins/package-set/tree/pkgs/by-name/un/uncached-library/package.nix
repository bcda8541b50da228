# What uncached-tool is linked with.
{ lib, stdenv, zlib }:

stdenv.mkDerivation {
  pname = "uncached-library";
  version = "1.0";
  buildInputs = [ zlib ];
  size = 1000;
  passthru.uncached = true;
  meta = { description = "Nobody has built it yet"; license = lib.licenses.mit; platforms = lib.platforms.linux; };
}
