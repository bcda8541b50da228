# Derivations of a line or two, which are made faster than a cache is asked for them.
{ pkgs }:

let
  inherit (pkgs) lib stdenv;
  local = { preferLocalBuild = true; allowSubstitutes = false; };
in {
  runCommandLocal = name: attributes: command:
    stdenv.mkDerivation ({ inherit name; buildCommand = command; meta.platforms = lib.platforms.all; }
      // local // attributes);

  writeTextFile = { name, text, destination ? "", executable ? false, meta ? { } }:
    stdenv.mkDerivation ({
      inherit name text;
      meta = { platforms = lib.platforms.all; } // meta;
      passAsFile = [ "text" ];
      buildCommand = ''
        file="$out${destination}"
        mkdir -p "''${file%/*}"
        while IFS= read -r line; do echo "$line"; done < "$textPath" > "$file"
        ${lib.optionalString executable ''chmod 755 "$file"''}
      '';
    } // local);

  writeShellScriptBin = name: text: pkgs.writeTextFile {
    inherit name;
    destination = "/bin/${name}";
    executable = true;
    text = "#!${pkgs.bash}/bin/bash\n${text}\n";
    meta.mainProgram = name;
  };

  # The programs of some packages in one folder.
  symlinkJoin = { name, paths, meta ? { } }: pkgs.runCommandLocal name { inherit paths meta; } ''
    mkdir -p "$out/bin"
    for path in $paths; do ln -s "$path"/bin/* "$out/bin/"; done
  '';
}
