# Refused until it is permitted by its name and version.
{ lib, stdenv }:

stdenv.mkDerivation {
  pname = "insecure-tool";
  version = "1.1.1w";
  programs = [ "insecure-tool" ];
  meta = {
    description = "Reached the end of its support";
    knownVulnerabilities = [ "CVE-2026-0001: lets anybody in" "End of life" ];
    license = lib.licenses.openssl;
    platforms = lib.platforms.linux;
  };
}
