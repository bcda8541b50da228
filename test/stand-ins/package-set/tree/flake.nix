# The same set as a flake: packages below legacyPackages, as in nixpkgs.
{
  description = "A package set in nixpkgs' shape";

  outputs = { self }:
    let
      lib = import ./lib;
      forSystems = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ];
    in {
      inherit lib;
      legacyPackages = forSystems (system: import ./. { inherit system; config = { }; overlays = [ ]; });
    };
}
