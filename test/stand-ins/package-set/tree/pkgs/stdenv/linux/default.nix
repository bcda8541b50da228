# The standard environment, bootstrapped in stages out of a few fetched tools. Each stage makes the
# compiler and the tools for the next one, so that whoever builds anything from source without a
# cache begins with all of them.
{ lib, config, hostPlatform, buildPlatform, pkgs }:

let
  makeDerivation = stdenv: import ../generic/make-derivation.nix { inherit lib config stdenv; };

  environment = { name, tools, cc, libc }:
    let
      self = {
        inherit hostPlatform buildPlatform tools;
        targetPlatform = hostPlatform;
        cc = { inherit cc libc; isGNU = true; };
        inherit (hostPlatform) isLinux isDarwin isx86_64 isAarch64;
        mkDerivation = makeDerivation self;
        made = derivation {
          inherit name tools;
          salt = import ./salt.nix;
          inherit (buildPlatform) system;
          builder = "${bootstrapTools}/bin/busybox";
          args = [ "ash" "-e" ./environment.sh ];
          PATH = "${bootstrapTools}/bin";
        };
        inherit bootstrapTools;
      };
    in self;

  bootstrapTools = import ./bootstrap-tools.nix { inherit (buildPlatform) system; };
  stage0 = environment { name = "bootstrap-stage0-stdenv-linux"; tools = [ bootstrapTools ]; cc = null; libc = null; };

  # What a stage builds of the tools, with what the one before has.
  toolsOf = stage: before: map
    (tool: before.mkDerivation {
      pname = "bootstrap-stage${toString stage}-${tool.pname}";
      inherit (tool) version;
      src = pkgs.fetchurl tool.src;
      patches = map pkgs.fetchurl (tool.patches or [ ]);
      programs = [ tool.pname ];
      meta = { description = "${tool.pname} of stage ${toString stage}"; platforms = lib.platforms.linux; };
    })
    (import ./tools.nix);
  nextStage = stage: before: environment {
    name = "bootstrap-stage${toString stage}-stdenv-linux";
    tools = toolsOf stage before;
    cc = null;
    libc = null;
  };
  stage1 = nextStage 1 stage0;
  stage2 = nextStage 2 stage1;
  stage3 = nextStage 3 stage2;

  final = environment {
    name = "stdenv-linux";
    tools = stage3.tools ++ [ pkgs.gcc pkgs.glibc ];
    cc = pkgs.gcc;
    libc = pkgs.glibc;
  };
in
{
  stdenv = final;
  stdenvNoCC = final // { cc = null; };
  # For what the final environment consists of itself.
  bootstrapStdenv = stage3;
  stdenvStages = { inherit bootstrapTools stage0 stage1 stage2 stage3 final; };
  fetchurl = import ../../build-support/fetchurl.nix;
}
