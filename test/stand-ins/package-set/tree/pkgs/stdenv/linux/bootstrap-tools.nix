# The few programs that everything begins with: a shell and what makes folders, fetched as one archive.
{ system }:

let
  files = import ./bootstrap-files.nix;
in
derivation {
  name = "bootstrap-tools";
  system = "builtin";
  builder = "builtin:fetchurl";
  inherit (files) url;
  urls = [ files.url ];
  unpack = true;
  executable = false;
  outputHashMode = "recursive";
  outputHashAlgo = "sha256";
  outputHash = files.sha256;
  preferLocalBuild = true;
  impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
}
