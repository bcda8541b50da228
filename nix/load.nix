# Turns a pinned source (source.nix) into its package set for one system.
{ source, system }:

let
  inherit (builtins)
    any attrNames compareVersions functionArgs intersectAttrs isAttrs isFunction isString match
    nixVersion pathExists substring toXML typeOf;

  inherit (import ./source.nix { inherit source; }) pinned files flake;

  # nixpkgs and its forks say which Nix they need in a file of their own. An older one may not get
  # as far as the advice that nixpkgs itself aborts with, so it is looked at before anything else.
  needed =
    let
      file = files + "/lib/minver.nix";
      said = if pathExists file then import file else null;
    in if isString said && match "[0-9]+([.][0-9]+)*" said != null then said else "0";

  # `config` and `overlays` keep nixpkgs from reading those of the user who runs this.
  offered = { inherit system; config = pinned.config or { }; overlays = [ ]; };

  # functionArgs gives { } for `args: …`, `{ ... }: …` and `{ }: …` alike, but the last one refuses
  # any argument. The first lines of the function's XML tell them apart.
  takesMore = function:
    match ".*<(varpat|attrspat ellipsis).*" (substring 0 160 (toXML function)) != null;

  arguments = function: intersectAttrs (functionArgs function) offered
    // (if takesMore function then { inherit system; } else { });

  loaded =
    if pinned.kind == "flake" then flake
    else
      let value = import files;
      in if isFunction value then value (arguments value) else value;

  # The outputs of a flake: { packages.<system>.<name>, legacyPackages.<system>.<name> }, of which
  # the first wins, as in Nix's own commands.
  bySystem = name:
    let
      value = loaded.${name};
      isSystem = key: match ".*-(linux|darwin)" key != null;
    in if loaded ? ${name} && isAttrs value && any isSystem (attrNames value) then value else { };
  flakePackages = bySystem "packages";
  flakeLegacyPackages = bySystem "legacyPackages";
in

if compareVersions needed nixVersion > 0 then
  throw "this package set needs Nix ${needed} or newer"
else if ! isAttrs loaded then
  throw "the package source gives a ${typeOf loaded} where a set of packages is needed"
else if pinned.kind != "flake" && flakePackages == { } && flakeLegacyPackages == { } then loaded
else if flakePackages ? ${system} || flakeLegacyPackages ? ${system} then
  (flakeLegacyPackages.${system} or { }) // (flakePackages.${system} or { })
else throw "the package source has no packages for ${system}"
