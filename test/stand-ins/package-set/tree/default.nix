# The entry of a package set in nixpkgs' shape, made up for tests (package-set.ts): it looks at the
# version of Nix before anything that an older one might not understand.

let
  needed = import ./lib/minver.nix;
in

if ! builtins ? nixVersion || builtins.compareVersions needed builtins.nixVersion == 1 then
  abort ''

    This version of Nixpkgs requires Nix >= ${needed}, please upgrade:

    - On NixOS, `nixos-rebuild' brings a newer one.

    - Elsewhere `nix upgrade-nix' does, and `nix-env --version' says which one you have.

    - What the installer put there, it replaces when it is run again.

    The release notes are at ${toString ./doc/release-notes}.
  ''
else
  import ./pkgs/top-level/impure.nix
