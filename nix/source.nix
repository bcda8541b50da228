# Fetches a pinned source (JSON; the fields are in README.md): `files`, the folder or the file that
# it is, and `flake`, the outputs of one. The origin asks for revisions only: which one a tag means
# was decided before; and once it has fetched one, it says where the files lie in the store, so that
# nothing is asked of the network here. By hand (image.nix) a path may come without its hash, a git
# source as a branch, and nixpkgs as a channel.
{ source }:

let
  inherit (builtins)
    baseNameOf fetchGit fetchTarball fromJSON getFlake head match replaceStrings storePath;

  pinned = fromJSON source;

  # What is evaluated is a copy in the store whose hash is the pin's, so that a file saved in
  # between cannot be built under the wrong pin. Git's own data is left out: it changes without the
  # files.
  pinnedPath =
    let root = toString (/. + pinned.path);
    in builtins.path ({
      name = "source";
      path = root;
      filter = path: _type: ! (baseNameOf path == ".git" && dirOf path == root);
    } // (if pinned ? narHash then { sha256 = pinned.narHash; } else { }));

  # A commit is looked for on its branch when that is known, because all refs of a large repository
  # hold every pull request ever made. Without it the commit may be on any branch or tag. A
  # `shallow` repository holds the commit alone.
  gitTree = fetchGit ({ inherit (pinned) url; }
    // (if pinned ? commit then { rev = pinned.commit; } else { })
    // (if pinned.shallow or false then { shallow = true; }
    else if pinned ? ref then { inherit (pinned) ref; }
    else { allRefs = true; }));

  # A reference that is not locked would be looked up anew by each evaluation.
  flake =
    if match ".*[?&](rev|narHash|treeHash)=.*|.*/[0-9a-f]{40}([?].*)?" pinned.url == null
    then throw "the flake ${pinned.url} is not locked to a revision"
    else getFlake pinned.url;

  # The folder of flake.nix. A flake's own `outPath` is that in newer versions of Nix only.
  flakeFolder =
    let folder = match ".*[?&]dir=([^&]*).*" pinned.url;
    in if folder == null then "${flake.sourceInfo}"
    else "${flake.sourceInfo}/${replaceStrings [ "%2F" "%2f" ] [ "/" "/" ] (head folder)}";
in
{
  inherit pinned flake;
  files =
    if pinned ? files then storePath pinned.files
    else if pinned.kind == "path" then pinnedPath
    else if pinned.kind == "nixpkgs" then fetchTarball "${pinned.url}/archive/${pinned.commit}.tar.gz"
    else if pinned.kind == "git" then "${gitTree}"
    else if pinned.kind == "flake" then flakeFolder
    else throw "unknown kind of package source: ${pinned.kind}";
}
