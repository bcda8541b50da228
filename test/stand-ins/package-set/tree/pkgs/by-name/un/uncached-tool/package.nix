# What no cache has built yet, as after a change of this morning.
{ lib, stdenv, uncached-library, ncurses }:

stdenv.mkDerivation {
  pname = "uncached-tool";
  version = "1.0";
  buildInputs = [ uncached-library ncurses ];
  programs = [ "uncached-tool" ];
  passthru.uncached = true;
  meta = { description = "Nobody has built it yet"; license = lib.licenses.mit; platforms = lib.platforms.linux; };
}
