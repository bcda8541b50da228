# As much of nixpkgs' library as this set needs, under the names it has there.

let
  inherit (builtins)
    attrNames concatLists concatStringsSep elem elemAt filter functionArgs genList head intersectAttrs
    isAttrs isFunction isList length listToAttrs map match stringLength substring;

  lib = {
    inherit (builtins) attrNames attrValues concatStringsSep elem filter head isList isString mapAttrs;

    licenses = import ./licenses.nix;
    platforms = import ./platforms.nix;
    maintainers = { };

    fix = f: let x = f x; in x;
    extends = overlay: f: self: let super = f self; in super // overlay self super;
    composeManyExtensions = overlays: f: builtins.foldl' (so: overlay: lib.extends overlay so) f overlays;

    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    optionalString = condition: text: if condition then text else "";
    toList = value: if isList value then value else [ value ];
    any = builtins.any;
    all = builtins.all;
    unique = list: attrNames (listToAttrs (map (name: { inherit name; value = null; }) list));
    concatMapStrings = f: list: concatStringsSep "" (map f list);
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    genAttrs = names: f: listToAttrs (map (name: { inherit name; value = f name; }) names);
    filterAttrs = keep: set:
      listToAttrs (map (name: { inherit name; value = set.${name}; })
        (filter (name: keep name set.${name}) (attrNames set)));
    mergeAttrsList = builtins.foldl' (all: set: all // set) { };

    isDerivation = value: isAttrs value && value.type or null == "derivation";
    recurseIntoAttrs = set: set // { recurseForDerivations = true; };
    dontRecurseIntoAttrs = set: set // { recurseForDerivations = false; };
    getName = drv: drv.pname or (builtins.parseDrvName drv.name).name;
    getVersion = drv: drv.version or (builtins.parseDrvName drv.name).version;
    getOutput = output: drv: if ! drv ? outputSpecified || ! drv.outputSpecified
      then drv.${output} or drv.out or drv else drv;
    getLib = lib.getOutput "lib";
    getDev = lib.getOutput "dev";
    getBin = lib.getOutput "bin";

    # Gives the result of a function whose arguments can be replaced afterwards.
    makeOverridable = f: arguments:
      let
        result = f arguments;
        override = change: lib.makeOverridable f
          (arguments // (if isFunction change then change arguments else change));
      in
      if isAttrs result then result // {
        inherit override;
        overrideAttrs = change: lib.makeOverridable (args: (f args).overrideAttrs change) arguments;
      }
      else result;

    callPackageWith = available: f: given:
      let
        function = if isFunction f then f else import f;
        arguments = intersectAttrs (functionArgs function) available // given;
        wanted = functionArgs function;
        missing = filter (name: ! wanted.${name} && ! arguments ? ${name}) (attrNames wanted);
      in
      if missing == [ ] then lib.makeOverridable function arguments
      else abort "evaluation aborted: a package is called without its argument ${head missing}";

    # A set of packages that can be extended, as those of languages are.
    makeScope = newScope: f:
      let
        self = f self // {
          newScope = scope: newScope (self // scope);
          callPackage = self.newScope { };
          overrideScope = overlay: lib.makeScope newScope (lib.extends overlay f);
          packages = f;
        };
      in self;

    # The derivation with attributes that it does not know itself; nothing of it evaluates unless the
    # condition holds, though its name and its meta do.
    extendDerivation = condition: passthru: drv:
      let
        outputs = drv.outputs or [ "out" ];
        common = drv // listToAttrs outputList // passthru;
        outputToAttr = name: {
          inherit name;
          value = common // {
            inherit (drv.${name}) type outputName;
            outputSpecified = true;
            drvPath = assert condition; drv.${name}.drvPath;
            outPath = assert condition; drv.${name}.outPath;
          };
        };
        outputList = map outputToAttr outputs;
      in common // {
        drvPath = assert condition; drv.drvPath;
        outPath = assert condition; drv.outPath;
      };
  };
in
lib
