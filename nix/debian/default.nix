# A package set in nixpkgs' shape, made of Debian's packages: attributes, nested sets and
# derivations as the lock beside this file lists them. Uses nothing but `builtins` and the files of
# this folder.
{
  system ? builtins.currentSystem,
  ...
}:
let
  lockFile = name: "lock.${name}.json";
  locks = builtins.listToAttrs (
    map
      (name: {
        inherit name;
        value = builtins.fromJSON (builtins.readFile (./. + "/${lockFile name}"));
      })
      (
        builtins.filter (name: builtins.pathExists (./. + "/${lockFile name}")) [
          "x86_64-linux"
          "aarch64-linux"
        ]
      )
  );
  lock =
    locks.${system} or {
      attributes = { };
      packages = { };
    };

  # Unpacking runs nothing of what it unpacks, so any machine can make packages for any system.
  buildSystem = builtins.currentSystem or system;

  # A .deb has the same store path whether Nix downloads it or somebody added the file beforehand
  # (`apt-get download`, then `nix-store --add-fixed sha256` under the name in the lock).
  fetch =
    deb:
    derivation {
      name = deb.file;
      builder = "builtin:fetchurl";
      system = "builtin";
      outputHashAlgo = "sha256";
      outputHashMode = "flat";
      outputHash = deb.sha256;
      inherit (deb) url;
      urls = [ deb.url ];
      executable = false;
      unpack = false;
      preferLocalBuild = true;
      impureEnvVars = [
        "http_proxy"
        "https_proxy"
        "ftp_proxy"
        "all_proxy"
        "no_proxy"
      ];
    };

  # All packages that one needs, but for itself, in a fixed order: the first that holds a file wins.
  closureOf =
    key:
    builtins.filter (reached: reached != key) (
      builtins.attrNames (
        builtins.listToAttrs (
          map
            (item: {
              name = item.key;
              value = null;
            })
            (
              builtins.genericClosure {
                startSet = [ { inherit key; } ];
                operator = item: map (key: { inherit key; }) lock.packages.${item.key}.dependencies;
              }
            )
        )
      )
    );

  # What builds, whatever for: Debian's own programs, so that no build needs anything of its machine
  # and all of them can run in a sandbox. busybox has no .deb here, since nothing could unpack it.
  tools =
    let
      own =
        locks.${buildSystem} or (throw "the Debian package set has no tools that run on ${buildSystem}");
    in
    derivation rec {
      name = "debian-build-tools";
      system = buildSystem;
      busybox = "${./busybox + "/${buildSystem}"}/busybox";
      builder = busybox;
      args = [
        "sh"
        ./tools.sh
      ];
      debs = map fetch own.tools;
      inherit (own) multiarch;
      loader = baseNameOf own.loader;
      elf = ./elf.pl;
    };

  # Those that a cycle of dependencies has made one have one path, and the fix-ups of all.
  keysOf = key: [ key ] ++ lock.packages.${key}.merged or [ ];

  make =
    key: entry:
    let
      built = derivation {
        inherit (entry) name;
        debs = map fetch entry.debs;
        inherit (lock) loader multiarch;
        system = buildSystem;
        builder = "${tools}/bin/bash";
        args = [ ./unpack.sh ];
        inherit tools;
        # The tools are to be found by the build alone.
        disallowedReferences = [ tools ];
        elf = ./elf.pl;
        repoint = ./repoint.pl;
        package = key;
        inputs = builtins.concatMap (
          reached: map (name: "${name}=${packages.${reached}}") (keysOf reached)
        ) (closureOf key);
        shell = if entry.shell then "${packages.${lock.shell}}" else "";
        interpreter = entry.interpreter or "";
        # What a module needs beside it, as nixpkgs says it.
        propagated =
          if entry ? interpreter then
            map (key: packages.${key}) (
              builtins.filter (
                key: key == entry.interpreter || lock.packages.${key}.interpreter or null == entry.interpreter
              ) entry.dependencies
            )
          else
            [ ];
        fixups = builtins.filter builtins.pathExists (map (name: ./fixups + "/${name}.sh") (keysOf key));
      };
    in
    built
    // {
      # What it is made for, and not what makes it.
      inherit system;
      pname = builtins.replaceStrings [ "-${entry.version}" ] [ "" ] entry.name;
      inherit (entry) version;
    };

  packages = builtins.mapAttrs make lock.packages;

  licenses =
    expression:
    map (spdxId: {
      inherit spdxId;
      shortName = spdxId;
    }) (builtins.filter builtins.isString (builtins.split " OR " expression));

  # With its outputs, as nixpkgs has them: `out` is the package itself, unless another has its libraries.
  attribute =
    leaf:
    let
      entry = lock.packages.${leaf.package};
      self =
        packages.${leaf.package}
        // {
          out = self;
          meta = meta leaf entry;
        }
        # Where the libraries are `out`, the programs are `bin`.
        // (if leaf ? outputs.out then { bin = self; } else { })
        // builtins.mapAttrs (_: attribute) (leaf.outputs or { });
    in
    self;

  meta =
    leaf: entry:
    {
      inherit (entry) description;
    }
    // (if entry ? homepage then { inherit (entry) homepage; } else { })
    // (if leaf ? mainProgram then { inherit (leaf) mainProgram; } else { })
    // (if leaf ? license then { license = licenses leaf.license; } else { });

  isLeaf = value: builtins.isString (value.package or null);

  attributes =
    set:
    builtins.mapAttrs (
      _: value:
      if isLeaf value then
        attribute value
      else
        attributes value // { recurseForDerivations = true; }
    ) set;

  # What there is for other systems only, as nixpkgs has it: it says which, and gives nothing else.
  elsewhere =
    name: set:
    builtins.mapAttrs (
      attribute: value:
      if isLeaf value then
        let
          refuse = throw "the Debian package set has no ${attribute} for ${system}";
        in
        {
          type = "derivation";
          name = attribute;
          meta.platforms = [ name ];
          outPath = refuse;
          drvPath = refuse;
        }
      else
        elsewhere name value // { recurseForDerivations = true; }
    ) set;

  isSet = value: builtins.isAttrs value && value.type or null != "derivation";
  over =
    below: above:
    below
    // builtins.mapAttrs (
      name: value: if isSet value && below ? ${name} then over below.${name} value else value
    ) above;
in
builtins.foldl' over { } (
  map (name: elsewhere name locks.${name}.attributes) (
    builtins.filter (name: name != system) (builtins.attrNames locks)
  )
  ++ [ (attributes lock.attributes) ]
)
