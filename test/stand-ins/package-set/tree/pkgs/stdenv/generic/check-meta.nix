# Whether a package may be evaluated at all, and what is said where it may not: in the structure of
# nixpkgs' own messages, of which three are in the field (wording.nix chooses).
{ lib, config, hostPlatform }:

let
  inherit (builtins) concatStringsSep elem filter getEnv isString length map;

  wording = import ./wording.nix;

  license = name: name.shortName or (if isString name then name else "unknown");
  licensesOf = meta: lib.toList (meta.license or [ ]);
  isFree = each: isString each || each.free or true;

  allows = setting: variable: config.${setting} || getEnv variable == "1";
  mayBeUnfree = package: allows "allowUnfree" "NIXPKGS_ALLOW_UNFREE"
    || (config.allowUnfreePredicate or (_: false)) package;
  mayBeInsecure = package: getEnv "NIXPKGS_ALLOW_INSECURE" == "1"
    || (config.allowInsecurePredicate or (each: elem each.name config.permittedInsecurePackages)) package;

  listed = list: meta: builtins.any (each: elem each list) (licensesOf meta);

  isAvailable = meta:
    (! meta ? platforms || elem hostPlatform.system meta.platforms)
    && ! elem hostPlatform.system (meta.badPlatforms or [ ]);

  ## Why a package is refused; null where it is not

  problemOf = package: meta:
    let
      unfree = filter (each: ! isFree each) (licensesOf meta);
      missing = filter (output: ! elem output package.outputs) meta.outputsToInstall;
      licensed = concatStringsSep " " (map license (licensesOf meta));
    in
    if missing != [ ] then { kind = "broken-outputs"; says = "has invalid meta.outputsToInstall"; }
    else if unfree != [ ] && ! mayBeUnfree package && ! listed config.allowlistedLicenses meta then
      { kind = "unfree"; says = "has an unfree license (‘${licensed}’)"; }
    else if listed config.blocklistedLicenses meta then
      { kind = "blocklisted"; says = "has a blocklisted license (‘${licensed}’)"; }
    else if meta.broken && ! allows "allowBroken" "NIXPKGS_ALLOW_BROKEN" then
      {
        kind = "broken";
        says = if wording == "problems" then "has problems:\n  - broken: this package does not build\n" else "is marked as broken";
      }
    else if ! isAvailable meta && ! allows "allowUnsupportedSystem" "NIXPKGS_ALLOW_UNSUPPORTED_SYSTEM" then
      {
        kind = "unsupported";
        says = ''
          is not available on the requested hostPlatform:
            hostPlatform.system = "${hostPlatform.system}"
            package.meta.platforms = [${lib.concatMapStrings (each: "\n    \"${each}\"") (meta.platforms or [ ])}
            ]
            package.meta.badPlatforms = [${lib.concatMapStrings (each: "\n    \"${each}\"") (meta.badPlatforms or [ ])}
            ]
        '';
      }
    else if meta.knownVulnerabilities or [ ] != [ ] && ! mayBeInsecure package then
      { kind = "insecure"; says = "is marked as insecure"; }
    else null;

  ## What to do about it

  flakes = ''
    Note: commands that take a flake, such as `nix build` and `nix shell`, read variables of the
          environment with `--impure` only.
  '';

  switch = what: variable: setting: more: ''
    a) To let ${what} pass for once, set a variable of the environment when Nix is called:

         $ export ${variable}=1

    ${flakes}
    b) With `nixos-rebuild`, the configuration.nix of the system can say

      { nixpkgs.config.${setting} = true; }

    ${more}
    c) With `nix-env`, `nix-build`, `nix-shell` and any other command of Nix, so can
       ~/.config/nixpkgs/config.nix:

      { ${setting} = true; }
  '';

  remedies = package: meta: {
    unfree = switch "unfree packages" "NIXPKGS_ALLOW_UNFREE" "allowUnfree" ''
      or name the packages that may pass:

        { nixpkgs.config.allowUnfreePredicate = pkg: builtins.elem (lib.getName pkg) [
            "${package.pname}"
          ];
        }
    '';
    broken = switch "broken packages" "NIXPKGS_ALLOW_BROKEN" "allowBroken" "";
    unsupported = switch "packages for other systems" "NIXPKGS_ALLOW_UNSUPPORTED_SYSTEM"
      "allowUnsupportedSystem" "";
    blocklisted = "";
    broken-outputs = ''
      meta.outputsToInstall names ${concatStringsSep ", " meta.outputsToInstall}, and the outputs
      are ${concatStringsSep ", " package.outputs}.
    '';
    insecure = ''

      Known issues:
      ${lib.concatMapStrings (issue: " - ${issue}\n") (meta.knownVulnerabilities or [ ])}
      You can install it anyway by allowing this package, in one of these ways:

      a) To let insecure packages pass for once, set a variable of the environment:

           $ export NIXPKGS_ALLOW_INSECURE=1

      b) With `nixos-rebuild`, add ‘${package.name}’ to `nixpkgs.config.permittedInsecurePackages`
         in the configuration.nix:

           { nixpkgs.config.permittedInsecurePackages = [ "${package.name}" ]; }

      c) With other commands, add ‘${package.name}’ to `permittedInsecurePackages` in
         ~/.config/nixpkgs/config.nix.

    '';
  };

  message = package: meta: { kind, says }:
    let
      place = meta.position or "«unknown-file»";
      remedy = (remedies package meta).${kind};
    in
    if wording == "old" then "Package ‘${package.name}’ in ${place} ${says}, refusing to evaluate.\n\n${remedy}"
    else "Refusing to evaluate package '${package.name}' in ${place} because it ${says}\n\n${remedy}";
in

package: meta:
let
  problem = problemOf package meta;
in
{
  handled = problem == null
    || (config.handleEvalIssue or (_: builtins.throw)) problem.kind (message package meta problem);
  meta = {
    available = problem == null;
    inherit (meta) broken;
    unfree = ! builtins.all isFree (licensesOf meta);
    unsupported = ! isAvailable meta;
    insecure = meta.knownVulnerabilities or [ ] != [ ];
  };
}
