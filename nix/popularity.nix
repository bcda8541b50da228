# The text of the popularity data that a package set carries, `popularity.json` at its top; or null.
{ source }:

let
  inherit (import ./source.nix { inherit source; }) files;
  file = "${files}/popularity.json";
in
if builtins.pathExists file then builtins.readFile file else null
