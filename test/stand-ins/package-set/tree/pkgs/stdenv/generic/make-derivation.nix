# stdenv.mkDerivation: a package out of its attributes, or of a function from the finished package to
# them. What a package is not allowed to be shows when its paths are asked for, not its name or meta.
{ lib, config, stdenv }:

let
  inherit (builtins) elem head isFunction;

  checkMeta = import ./check-meta.nix { inherit lib config; inherit (stdenv) hostPlatform; };

  makeFrom = rattrs:
    let
      attributes = rattrs (finished // { finalPackage = finished; });
      finished = make rattrs attributes;
    in finished;

  make = rattrs: attributes:
    let
      pname = attributes.pname or (builtins.parseDrvName attributes.name).name;
      version = attributes.version or "";
      name = attributes.name or "${pname}-${version}";
      outputs = attributes.outputs or [ "out" ];
      libraries = attributes.buildInputs or [ ];

      # What the finished package refers to, which is what it is linked with.
      needed = map (each: toString (lib.getLib each))
        (lib.optionals (stdenv.cc.libc or null != null && ! attributes.static or false) [ stdenv.cc.libc ]
          ++ libraries ++ attributes.propagatedBuildInputs or [ ]);

      environment = builtins.removeAttrs attributes [ "meta" "passthru" "static" ] // {
        inherit name outputs needed;
        stdenv = stdenv.made;
        system = stdenv.buildPlatform.system;
        builder = "${stdenv.bootstrapTools}/bin/busybox";
        args = [ "ash" "-e" ./builder.sh ];
        PATH = "${stdenv.bootstrapTools}/bin";
        buildInputs = map (each: toString (lib.getDev each)) libraries;
        nativeBuildInputs = map toString (attributes.nativeBuildInputs or [ ]);
        propagatedBuildInputs = map toString (attributes.propagatedBuildInputs or [ ]);
        strictDeps = attributes.strictDeps or false;
        programs = attributes.programs or [ ];
        files = attributes.files or [ ];
        size = attributes.size or 0;
      };

      written = attributes.meta or { };
      position = builtins.unsafeGetAttrPos "description" written;
      described = {
        inherit name;
        broken = false;
        outputsToInstall = [
          (if elem "bin" outputs then "bin" else if elem "out" outputs then "out" else head outputs)
        ] ++ lib.optional (elem "man" outputs) "man";
      } // lib.optionalAttrs (position != null) {
        position = "${position.file}:${toString position.line}";
      } // written;
      checked = checkMeta (attributes // { inherit name pname version outputs; }) described;
    in
    lib.extendDerivation checked.handled ({
      inherit pname version stdenv;
      meta = described // checked.meta;
      passthru = attributes.passthru or { };
      # `old: { … }` or `final: old: { … }`.
      overrideAttrs = change: makeFrom (final:
        let
          before = rattrs final;
          once = if isFunction change then change final else change;
          changes = if isFunction once then once before
            else if isFunction change then change before else change;
        in before // changes);
      # For whoever serves it finished (a binary cache).
      contents = {
        inherit needed pname version;
        programs = attributes.programs or [ ];
        files = attributes.files or [ ];
        size = attributes.size or 0;
        # What is made faster than asked for, and what nobody has built there yet.
        cached = attributes.allowSubstitutes or true && ! attributes.passthru.uncached or false;
      };
    } // attributes.passthru or { }) (derivation environment);
in
attributes: makeFrom (if isFunction attributes then attributes else _: attributes)
