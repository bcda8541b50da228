# Turns a pinned source (JSON; the fields are in README.md) into its package set for one system.
# The origin asks for revisions only: which one a tag means was decided before. By hand (image.nix) a
# path may come without its hash, a git source as a branch, and nixpkgs as a channel.
{ source, system }:

let
  inherit (builtins)
    any attrNames baseNameOf fetchGit fetchTarball fromJSON functionArgs getFlake intersectAttrs
    isAttrs isFunction match substring toXML typeOf;

  pinned = fromJSON source;

  # What is evaluated is a copy in the store whose hash is the pin's, so that a file saved in between
  # cannot be built under the wrong pin. Git's own data is left out: it changes without the files.
  pinnedPath =
    let root = toString (/. + pinned.path);
    in builtins.path ({
      name = "source";
      path = root;
      filter = path: _type: ! (baseNameOf path == ".git" && dirOf path == root);
    } // (if pinned ? narHash then { sha256 = pinned.narHash; } else { }));

  # A commit is looked for on its branch when that is known, because all refs of a large repository
  # hold every pull request ever made. Without it the commit may be on any branch or tag.
  gitTree = fetchGit ({ inherit (pinned) url; }
    // (if pinned ? commit then { rev = pinned.commit; } else { })
    // (if pinned ? ref then { inherit (pinned) ref; } else { allRefs = true; }));

  tree =
    if pinned.kind == "path" then pinnedPath
    else if pinned.kind == "nixpkgs" then fetchTarball "${pinned.url}/archive/${pinned.commit}.tar.gz"
    else if pinned.kind == "git" then gitTree
    else throw "unknown kind of package source: ${pinned.kind}";

  # `config` and `overlays` keep nixpkgs from reading those of the user who runs this.
  offered = { inherit system; config = pinned.config or { }; overlays = [ ]; };

  # functionArgs gives { } for `args: …`, `{ ... }: …` and `{ }: …` alike, but the last one refuses
  # any argument. The first lines of the function's XML tell them apart.
  takesMore = function:
    match ".*<(varpat|attrspat ellipsis).*" (substring 0 160 (toXML function)) != null;

  arguments = function: intersectAttrs (functionArgs function) offered
    // (if takesMore function then { inherit system; } else { });

  # A reference that is not locked would be looked up anew by each evaluation.
  flake =
    if match ".*[?&](rev|narHash|treeHash)=.*|.*/[0-9a-f]{40}([?].*)?" pinned.url == null
    then throw "the flake ${pinned.url} is not locked to a revision"
    else getFlake pinned.url;

  loaded =
    if pinned.kind == "flake" then flake
    else
      let value = import tree;
      in if isFunction value then value (arguments value) else value;

  # The outputs of a flake: { packages.<system>.<name>, legacyPackages.<system>.<name> }, of which the
  # first wins, as in Nix's own commands.
  bySystem = name:
    let
      value = loaded.${name};
      isSystem = key: match ".*-(linux|darwin)" key != null;
    in if loaded ? ${name} && isAttrs value && any isSystem (attrNames value) then value else { };
  flakePackages = bySystem "packages";
  flakeLegacyPackages = bySystem "legacyPackages";
in

if ! isAttrs loaded then
  throw "the package source gives a ${typeOf loaded} where a set of packages is needed"
else if pinned.kind != "flake" && flakePackages == { } && flakeLegacyPackages == { } then loaded
else if flakePackages ? ${system} || flakeLegacyPackages ? ${system} then
  (flakeLegacyPackages.${system} or { }) // (flakePackages.${system} or { })
else throw "the package source has no packages for ${system}"
