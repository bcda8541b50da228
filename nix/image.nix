# An image as a plain Nix function, without a registry: an OCI layout, and where its layers lie. The
# origin's own packer and composer run inside the derivation, so its digest is the registry's for
# the same recipe and pin. README.md says what each argument means.
{
  name ? "",
  tag ? "latest",
  packages ? null,
  contents ? [ ],
  config ? { },
  extraCommands ? "",
  uid ? 0,
  gid ? 0,
  maxLayers ? null,
  pkgSource ? "nixpkgs!nixos-unstable",
  system ? null,
  form ? "zstd",
  popularity ? null,
  shell ? null,
  node ? null,
  nodeModules ? ../node_modules,
}:

let
  inherit (builtins)
    all appendContext attrNames concatLists concatStringsSep currentSystem elem elemAt filter fromJSON
    genList hasContext hashFile head isAttrs isString length map match pathExists readDir replaceStrings split
    storePath substring tail toJSON;

  parsed = value: if isString value then fromJSON value else value;

  ## From a name to a recipe, as registry/naming/recipe.ts does it for image names; the builder compares

  components = if packages != null then parsed packages
    else filter (part: isString part && part != "") (split "/" name);
  expansions = {
    shell = [ "bashInteractive" "coreutils" "moreutils" "nano" ];
    unix = [ "diffutils" "findutils" "gawk" "gnugrep" "gnused" "gnutar" "gzip" "less" "procps" "which" ];
  };
  # What an image of a word holds besides.
  needs = {
    fhs = [ "nix-ld" "glibc.out" "stdenv.cc.cc.lib" "zlib" "openssl.out" "coreutils" ];
    nonroot = [ ];
  };
  frontWords = attrNames expansions ++ attrNames needs ++ [ "amd64" "arm64" ];
  leadingOf = names:
    if names != [ ] && elem (head names) frontWords then [ (head names) ] ++ leadingOf (tail names)
    else [ ];
  leading = leadingOf components;
  named = filter (component: ! elem component frontWords) components;
  always = [ "cacert" "iana-etc" ];
  wordsOf = sets: filter (word: elem word leading) (attrNames sets);
  allOf = sets: concatLists (map (word: sets.${word}) (wordsOf sets));
  recipe = named ++ always ++ allOf expansions;
  names = recipe ++ allOf needs;

  architectures = { x86_64-linux = "amd64"; aarch64-linux = "arm64"; };
  imageSystem = if system != null then system
    else if elem "arm64" leading && elem "amd64" leading then throw "amd64 and arm64 are two platforms: name one of them"
    else if elem "arm64" leading then "aarch64-linux"
    else "x86_64-linux";
  architecture = architectures.${imageSystem}
    or (throw "no images for ${imageSystem}, only for ${concatStringsSep ", " (attrNames architectures)}");

  variant = { zstd = "oci-zstd"; gzip = "oci-gzip"; docker = "docker-gzip"; }.${form}
    or (throw "form is ${toJSON form}: zstd, gzip or docker is needed");

  ## From a source to derivations

  # `kind!where[!revision]`, as Nixery's builder had it; or what load.nix reads, as a set or JSON.
  parts = filter isString (split "!" pkgSource);
  sourceForms = {
    nixpkgs = { kind = "nixpkgs"; url = "https://github.com/NixOS/nixpkgs"; commit = elemAt parts 1; };
    git = { kind = "git"; url = elemAt parts 1; } // (let revision = elemAt parts 2; in
      if match "[0-9a-f]{40}" revision != null then { commit = revision; } else { ref = revision; });
    path = { kind = "path"; path = elemAt parts 1; };
  };
  source =
    if isAttrs pkgSource then pkgSource
    else if substring 0 1 pkgSource == "{" then fromJSON pkgSource
    else if { nixpkgs = 2; git = 3; path = 2; }.${head parts} or 0 == length parts then
      sourceForms.${head parts}
    else throw "pkgSource is ${toJSON pkgSource}: nixpkgs!<channel>, git!<repository>!<revision> or path!<path> is needed";

  # Strict: what does not evaluate ends the evaluation with Nix's own message. What is not to be had
  # for another reason is left to the builder, which has the registry's words for it.
  answers = builtins.seq architecture (import ./lookup.nix {
    source = toJSON source;
    system = imageSystem;
    names = toJSON names;
    strict = true;
    image = { inherit contents; config = parsed config; };
  });
  packagesIn = said: if said.kind == "image" then concatLists (map (content: packagesIn content.said) said.contents)
    else [ said ];
  # What every image holds is added where the set has it.
  isSpared = place: elem (elemAt names place) always && (elemAt answers.lookups place).kind == "missing";
  asked = map (elemAt answers.lookups) (filter (place: ! isSpared place) (genList (place: place) (length names)));
  wanted = concatLists (map packagesIn (asked ++ [ answers.image ]));
  isComplete = all (said: said.kind == "found") wanted;

  # A lookup is plain text, which says nothing to Nix of what must be built first.
  outputsOf = found: map
    (output: appendContext output.path (
      if match ".*\\.drv" found.derivation == null then { ${output.path}.path = true; }
      else { ${found.derivation}.outputs = [ output.name ]; }))
    found.outputs;
  roots = if isComplete then concatLists (map outputsOf wanted) else [ ];

  ## The commands that make a layer of their own, with the image's programs and those of coreutils

  programFrom = attributes: file: why:
    let present = filter (attribute: here ? ${attribute}) attributes;
    in if present == [ ] then throw "the package source has no ${head attributes}: ${why}"
    else "${here.${head present}}${file}";
  extra = if extraCommands == "" then null else {
    commands = extraCommands;
    shell = if shell != null then toString shell
      else programFrom [ "bashInteractive" "bash" ] "/bin/bash" "give `shell`, the path of one";
    path = map (root: "${root}/bin")
      (roots ++ (if here ? coreutils then [ "${here.coreutils}" ] else [ ]));
    owner = { inherit uid gid; };
  };

  ## The popularity data that decides how layers are cut: as for the origin, the set's own by default

  ownPopularity = "${(import ./source.nix { source = toJSON source; }).files}/popularity.json";
  popularityFile =
    if popularity != null then { file = "${/. + popularity}"; counts = "references"; }
    else if source.kind != "nixpkgs" && pathExists ownPopularity then
      { file = ownPopularity; counts = "closures"; }
    else null;

  ## The program

  # The package set of the machine that builds, which need not be that of the image.
  here = import ./load.nix { source = toJSON source; system = currentSystem; };

  runner = import ./node.nix {
    node = if node != null then node
      else programFrom [ "nodejs_24" ] "/bin/node" "give `node`, the path of Node 24's program";
    system = currentSystem;
  };

  sources = builtins.path {
    name = "nixport-source";
    path = ../.;
    filter = path: type:
      let
        top = toString ../. + "/";
        relative = replaceStrings [ top ] [ "" ] path;
        isIn = folder: relative == folder || match "${folder}/.*" relative != null;
      in relative == "package.json"
      || (isIn "origin" || isIn "registry") && (type == "directory" || match ".*\\.ts" path != null);
  };
  valibot = builtins.path { name = "valibot"; path = nodeModules + "/valibot"; };

  # Node looks for packages above the module that imports them, so they must lie in one tree.
  program = derivation ({
    name = "nixport";
    system = currentSystem;
    nodeHash = runner.hash;
    inherit sources valibot;
  } // runner.run [ "--eval" ''
      const { cpSync } = require("node:fs");
      const { out, sources, valibot } = process.env;
      cpSync(sources, out, { recursive: true });
      cpSync(valibot, `''${out}/node_modules/valibot`, { recursive: true });
  '' ]);

  image = derivation ({
    name = "image-" + replaceStrings [ "/" ] [ "-" ] (if name == "" then "nixport" else name);
    system = currentSystem;
    __structuredAttrs = true;
    exportReferencesGraph.closure = roots;
    request = {
      inherit name names tag variant answers extra maxLayers;
      recipe = { inherit architecture; words = wordsOf needs; packages = recipe; };
      isNamed = packages == null && name != "";
      popularity = popularityFile;
    };
  } // runner.run [ "${program}/origin/command/image.ts" ]);
in
image
