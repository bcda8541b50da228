# From a system and a configuration to the set.
{ localSystem, config, overlays ? [ ], crossSystem ? null, crossOverlays ? [ ], ... } @ args:

let
  lib = import ../../lib;

  isSet = variable: builtins.getEnv variable == "1";
  given = if builtins.isFunction config then config { pkgs = set; } else config;
  configuration = {
    allowUnfree = isSet "NIXPKGS_ALLOW_UNFREE";
    allowBroken = isSet "NIXPKGS_ALLOW_BROKEN";
    allowUnsupportedSystem = isSet "NIXPKGS_ALLOW_UNSUPPORTED_SYSTEM";
    allowAliases = true;
    allowlistedLicenses = [ ];
    blocklistedLicenses = [ ];
    permittedInsecurePackages = [ ];
  } // given;

  platform = system: import ./platform.nix { inherit lib system; };
  systemOf = described: if builtins.isString described then described else described.system;
  hostSystem = if crossSystem == null then systemOf localSystem else systemOf crossSystem;

  set = import ./stage.nix {
    inherit lib overlays;
    config = configuration;
    hostPlatform = platform hostSystem;
    buildPlatform = platform (systemOf localSystem);
    again = changes: import ./. (args // changes);
  };
in
set
