# A file of which the hash is known before it is there.
{ url ? builtins.head urls, urls ? [ url ], sha256 ? "", hash ? sha256, name ? baseNameOf (toString url), passthru ? { } }:

derivation {
  inherit name url urls;
  system = "builtin";
  builder = "builtin:fetchurl";
  unpack = false;
  executable = false;
  outputHashMode = "flat";
  outputHashAlgo = "sha256";
  outputHash = hash;
  preferLocalBuild = true;
  impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
} // passthru // { isSource = true; }
