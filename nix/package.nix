# The origin as a package, for any set that has Node 24: `callPackage ./package.nix { }`, or
# default.nix. Node itself is the builder, so nothing else of the set is needed. The npm packages are
# fetched by npm, as the lock file has them; README.md says how `modulesHash` and `toolsHash` are renewed.
{
  nodejs_24,
  # Certificates for npm, and what the origin asks git remotes with; a host's own go first.
  cacert ? null,
  git ? null,
  modulesHash ? "sha256-bVbEeNvJziVh5kAga3bCBKEGTto24KQnsJ5bWJoFnbM=",
  toolsHash ? "sha256-+1IVXSH/AyjDyyDq8D782MTHAcXDp8QzF0z2W4/q6Ds=",
  system ? nodejs_24.system or builtins.currentSystem,
}:

let
  inherit (builtins)
    attrNames concatMap elem filter fromJSON genericClosure hashString listToAttrs map match readFile
    replaceStrings substring toFile toJSON;

  node = "${nodejs_24}/bin/node";
  manifest = fromJSON (readFile ../package.json);
  lock = fromJSON (readFile ../package-lock.json);

  ## The npm packages of the origin, which are few of those in the lock file

  # Without those that run the edge on one machine.
  direct = [ "@google-cloud/storage" "@hono/node-server" "hono" "jose" "pino" "tar-stream" "valibot" ];
  # As Node looks for it: in the package's own folder, then in those that it lies in.
  find = path: name:
    let
      own = "${path}/node_modules/${name}";
      outer = match "(.*)/node_modules/.*" path;
    in if lock.packages ? ${own} then own
      else if outer == null then "node_modules/${name}"
      else find (builtins.head outer) name;
  neededBy = entry:
    let
      peers = entry.peerDependencies or { };
      isOptional = name: entry.peerDependenciesMeta.${name}.optional or false;
    in attrNames (entry.dependencies or { }) ++ filter (name: ! isOptional name) (attrNames peers);
  needed = map (item: item.key) (genericClosure {
    startSet = map (name: { key = "node_modules/${name}"; }) direct;
    operator = item:
      map (name: { key = find item.key name; }) (neededBy lock.packages.${item.key});
  });

  # Of those folders of the lock file, with which a program finds what it imports by these names.
  installed = { name, names, folders, hash }: let
    dependencies = listToAttrs
      (map (each: { name = each; value = lock.packages."node_modules/${each}".version; }) names);
    # One result for all machines: what a package is made for is no matter, and none is left out.
    entry = path: removeAttrs lock.packages.${path} [ "cpu" "dev" "optional" "optionalDependencies" "os" ];
    ownLock = toJSON {
      inherit (lock) lockfileVersion;
      name = "nixport";
      packages = { "" = { name = "nixport"; inherit dependencies; }; } // listToAttrs
        (map (path: { name = path; value = entry path; }) folders);
    };
  in derivation {
    # A path by its hash is not made again when what it is made from changes, but for its name.
    name = "nixport-${name}-${substring 0 12 (hashString "sha256" ownLock)}";
    inherit system;
    builder = node;
    args = [ ./npm-modules.cjs ];
    npm = "${nodejs_24}/lib/node_modules/npm/bin/npm-cli.js";
    manifest = toJSON { name = "nixport"; inherit dependencies; };
    lock = ownLock;
    certificates = if cacert == null then "" else "${cacert}/etc/ssl/certs/ca-bundle.crt";
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    outputHash = hash;
    impureEnvVars = [
      "http_proxy" "https_proxy" "no_proxy" "HTTP_PROXY" "HTTPS_PROXY" "NO_PROXY"
      "npm_config_registry" "NODE_EXTRA_CA_CERTS"
    ];
  };

  modules = installed {
    name = "modules";
    names = direct;
    folders = needed;
    hash = modulesHash;
  };

  ## The scripts and styles of the pages

  # esbuild for every machine that builds, and what the scripts import. None of it is in the program.
  toolNames = [ "@esbuild/linux-arm64" "@esbuild/linux-x64" "esbuild" "jose" "valibot" ];
  tools = installed {
    name = "tools";
    names = toolNames;
    folders = map (name: "node_modules/${name}") toolNames;
    hash = toolsHash;
  };
  pageSources = builtins.path {
    name = "nixport-page-source";
    path = ../.;
    filter = path: type:
      let relative = replaceStrings [ (toString ../. + "/") ] [ "" ] path;
      in relative == "package.json"
      || relative != "page/dist" && match "(page|registry)(/.*)?" relative != null
        && (type == "directory" || match ".*[.](ts|css|svg)" relative != null);
  };
  page = derivation {
    name = "nixport-page";
    inherit system tools;
    sources = pageSources;
    builder = node;
    args = [ "--eval" ''
      const { chmodSync, cpSync } = require("node:fs");
      const { out, sources, tools } = process.env;
      const copy = process.cwd() + "/source";
      cpSync(sources, copy, { recursive: true });
      chmodSync(copy, 0o755);
      // Packages find each other in a folder of this name alone.
      cpSync(tools, copy + "/node_modules", { recursive: true });
      import(copy + "/page/build.ts").then(({ buildInto }) => buildInto(out)).catch((error) => {
        console.error(error);
        process.exit(1);
      });
    '' ];
  };

  ## The program

  # What runs the edge on one machine, and installs what a checkout lacks, is a checkout's.
  left = map (name: "origin/command/${name}")
    [ "edge.ts" "origin.ts" "setup.mjs" "start.ts" "workerd.sh" "workerd.ts" ];
  sources = builtins.path {
    name = "nixport-source";
    path = ../.;
    filter = path: type:
      let
        relative = replaceStrings [ (toString ../. + "/") ] [ "" ] path;
        isIn = folder: relative == folder || match "${folder}/.*" relative != null;
        isPart = folder: isIn folder && (type == "directory" || match ".*[.](ts|nix|sh)" path != null);
      in ! elem relative left
      && (elem relative [ "LICENSE" "package.json" "page" ] || isPart "page/html" || isPart "page/recipe" || isPart "page/search" || isPart "origin" || isPart "registry" || isPart "nix");
  };

  program = derivation {
    name = "nixport-${manifest.version}";
    inherit system sources modules page node;
    builder = node;
    git = if git == null then "" else "${git}/bin";
    args = [ "--eval" ''
      const { cpSync, mkdirSync, writeFileSync } = require("node:fs");
      const { git, modules, node, out, page, sources } = process.env;
      cpSync(sources, `''${out}/lib/nixport`, { recursive: true });
      cpSync(modules, `''${out}/lib/nixport/node_modules`, { recursive: true });
      cpSync(page, `''${out}/lib/nixport/page/dist`, { recursive: true });
      mkdirSync(`''${out}/bin`);
      const lines = [
        `#!''${node}`,
        ...(git === "" ? [] : [`process.env.PATH = [process.env.PATH, "''${git}"].filter(Boolean).join(":");`]),
        `import("''${out}/lib/nixport/origin/command/nixport.ts");`,
      ];
      writeFileSync(`''${out}/bin/nixport`, lines.join("\n") + "\n", { mode: 0o755 });
    '' ];
  };
in
program // {
  pname = "nixport";
  inherit (manifest) version;
  inherit modules tools page;
  meta = {
    inherit (manifest) description;
    license.spdxId = manifest.license;
    mainProgram = "nixport";
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
}
