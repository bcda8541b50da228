# What is not called by its name alone: variants, sets of a language's or a kernel's packages, and
# names that stand for the version in use.
{ pkgs, lib, super }:

let
  inherit (pkgs) callPackage;
in {
  bash = callPackage ../shells/bash { interactive = false; };
  bashInteractive = callPackage ../shells/bash { interactive = true; };
  runtimeShell = "${pkgs.bash}/bin/bash";

  curl = pkgs.curlMinimal.override { withHttp2 = true; };
  gitMinimal = pkgs.git.override { perl = null; python3 = null; };
  nodejs = pkgs.nodejs_24;
  openssl = pkgs.openssl_3;
  perl = pkgs.perl540;
  perlPackages = lib.recurseIntoAttrs { inherit (pkgs) perl; };

  python3 = pkgs.python313;
  python3Packages = lib.recurseIntoAttrs pkgs.python313.pkgs;
  python313Packages = lib.recurseIntoAttrs pkgs.python313.pkgs;

  haskellPackages = lib.recurseIntoAttrs (import ../development/haskell-modules {
    inherit lib pkgs;
    inherit (pkgs) newScope;
  });

  linuxPackages = lib.recurseIntoAttrs pkgs.linuxPackages_6_12;
  linuxPackages_6_12 = import ./linux-packages.nix { inherit lib pkgs; version = "6.12.57"; };
  linuxPackages_latest = import ./linux-packages.nix { inherit lib pkgs; version = "6.17.7"; };

  # A program with its plugins: made here, never fetched.
  hello-with-plugins = pkgs.symlinkJoin {
    name = "hello-with-plugins-1.0";
    paths = [ pkgs.hello pkgs.jq ];
    meta = { description = "A greeting, and what reads it"; mainProgram = "hello"; };
  };
  hello-wrapped = pkgs.writeShellScriptBin "hello-wrapped" "exec ${pkgs.hello}/bin/hello \"$@\"";
}
