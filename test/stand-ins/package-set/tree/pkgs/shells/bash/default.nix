# One package with and without what a person at a terminal needs.
{ lib, stdenv, readline, ncurses, interactive }:

stdenv.mkDerivation {
  pname = if interactive then "bash-interactive" else "bash";
  version = "5.3p3";
  outputs = [ "out" "dev" "man" "doc" ];
  buildInputs = lib.optionals interactive [ readline ncurses ];
  programs = [ "bash" "sh" ];
  size = 90000;
  passthru.shellPath = "/bin/bash";
  meta = {
    description = "The shell that everything else is started by";
    license = lib.licenses.gpl3Plus;
    mainProgram = "bash";
    platforms = lib.platforms.all;
  };
}
