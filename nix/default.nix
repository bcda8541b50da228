# The origin of a package set: `nix-build nix --arg pkgs 'import <nixpkgs> { }'`.
{
  pkgs ? import <nixpkgs> { },
  modulesHash ? null,
  toolsHash ? null,
}:

let
  package = import ./package.nix;
in
package (
  builtins.intersectAttrs { nodejs_24 = null; cacert = null; git = null; } pkgs
  // (if modulesHash == null then { } else { inherit modulesHash; })
  // (if toolsHash == null then { } else { inherit toolsHash; })
)
