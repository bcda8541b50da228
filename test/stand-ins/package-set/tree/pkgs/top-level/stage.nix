# The set as a fixed point: packages see each other, and each layer what the ones before it gave.
{ lib, config, overlays, hostPlatform, buildPlatform, again }:

let
  platforms = self: super: {
    inherit config lib hostPlatform buildPlatform;
    inherit (hostPlatform) system;
    targetPlatform = hostPlatform;

    # The same set under the names it has for those who build for another machine. It holds itself.
    pkgs = self // { recurseForDerivations = false; };
    pkgsBuildBuild = self // { recurseForDerivations = false; };
    pkgsBuildHost = self // { recurseForDerivations = false; };
    pkgsHostTarget = self // { recurseForDerivations = false; };
    buildPackages = self.pkgsBuildHost;
    targetPackages = self.pkgsHostTarget;

    newScope = scope: lib.callPackageWith (self // scope);
    callPackage = self.newScope { };
    callPackages = self.newScope { };
  };

  standardEnvironment = self: super: import ../stdenv/linux {
    inherit lib config hostPlatform buildPlatform;
    pkgs = self;
  };

  trivialBuilders = self: super: import ../build-support/trivial-builders.nix { pkgs = self; };

  byName = self: super:
    let
      base = ../by-name;
      namesOf = shard: type:
        if type != "directory" then { }
        else builtins.mapAttrs (name: _: base + "/${shard}/${name}/package.nix")
          (builtins.readDir (base + "/${shard}"));
      files = lib.mergeAttrsList (builtins.attrValues (builtins.mapAttrs namesOf (builtins.readDir base)));
    in builtins.mapAttrs (_: file: self.callPackage file { }) files;

  allPackages = self: super: import ./all-packages.nix { pkgs = self; inherit lib super; };

  aliases = self: super: lib.optionalAttrs config.allowAliases (import ./aliases.nix lib self super);

  configured = self: super: (config.packageOverrides or (_: { })) super;

  otherSets = self: super: {
    pkgsi686Linux =
      if hostPlatform.isx86_64 then again { localSystem.system = "i686-linux"; }
      else throw "i686 Linux package set can only be used with the x86 family.";
    pkgsMusl = throw "Musl libc only supports other systems than this set has.";
    pkgsCross = lib.genAttrs [ "aarch64-linux" "x86_64-linux" ]
      (system: again { crossSystem = { inherit system; }; });
    appendOverlays = more: if more == [ ] then self else again { overlays = overlays ++ more; };
    extend = overlay: self.appendOverlays [ overlay ];
  };
in
lib.fix (lib.composeManyExtensions ([
  platforms standardEnvironment trivialBuilders byName allPackages otherSets aliases configured
] ++ overlays) (self: { }))
