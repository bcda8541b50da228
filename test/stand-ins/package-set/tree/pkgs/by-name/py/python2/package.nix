# An old interpreter under the same licence: refused for what is known of it.
{ lib, stdenv, zlib }:

stdenv.mkDerivation {
  pname = "python";
  version = "2.7.18.8";
  buildInputs = [ zlib ];
  programs = [ "python2" ];
  meta = {
    description = "A language, as it was";
    knownVulnerabilities = [ "Python 2.7 has reached its end of life after 2020-01-01." ];
    license = lib.licenses.psfl;
    platforms = lib.platforms.all;
  };
}
