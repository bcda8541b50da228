# What a caller leaves out, taken from the machine: its system, its user's configuration and overlays.
{ localSystem ? { system = args.system or builtins.currentSystem; }
, system ? localSystem.system
, crossSystem ? null
, config ?
    let
      named = builtins.getEnv "NIXPKGS_CONFIG";
      own = "${builtins.getEnv "HOME"}/.config/nixpkgs/config.nix";
    in
    if named != "" && builtins.pathExists named then import named
    else if builtins.getEnv "HOME" != "" && builtins.pathExists own then import own
    else { }
, overlays ?
    let folder = "${builtins.getEnv "HOME"}/.config/nixpkgs/overlays";
    in
    if builtins.getEnv "HOME" == "" || ! builtins.pathExists folder then [ ]
    else map (name: import "${folder}/${name}") (builtins.attrNames (builtins.readDir folder))
, crossOverlays ? [ ]
, ...
} @ args:

# One or the other, but not both.
assert args ? localSystem -> ! (args ? system);
assert args ? system -> ! (args ? localSystem);

import ./. (builtins.removeAttrs args [ "system" ] // { inherit config overlays localSystem; })
