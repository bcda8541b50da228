# The origin as a flake, in this folder: `?dir=nix`.
{
  description = "A container registry in which the image name is the recipe";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { nixpkgs, ... }: {
    packages = builtins.listToAttrs (map
      (system: {
        name = system;
        value.default = import ./default.nix { pkgs = nixpkgs.legacyPackages.${system}; };
      })
      [ "x86_64-linux" "aarch64-linux" ]);
  };
}
