# Lists the names of a package set (README.md): its attributes, with those of nested sets that ask
# for it by `recurseForDerivations`, as in nix-env. What they are is lookup.nix's to say. An
# attribute that aborts when it is looked at takes all down; without `nested` none is looked at.
{ source, system, most, nested ? true }:

let
  inherit (builtins)
    attrNames concatLists filter isAttrs length map match tryEval;

  packages = import ./load.nix { inherit source system; };

  asksForIt = set: name:
    let
      value = set.${name};
      tried = tryEval (isAttrs value && value.type or null != "derivation"
        && value.recurseForDerivations or false == true);
    in tried.success && tried.value;

  # Names are dotted paths elsewhere, so that one with a dot of its own means something else. The
  # depth is limited because sets can hold themselves.
  namesIn = depth: prefix: set: concatLists (map
    (name:
      if depth > 0 && asksForIt set name then namesIn (depth - 1) "${prefix}${name}." set.${name}
      else [ "${prefix}${name}" ])
    (filter (name: match "[^.]+" name != null) (attrNames set)));

  count = length (attrNames packages);
in
# A set that is too large is left alone: telling nested sets needs each attribute's value.
if count > most then { inherit count; names = [ ]; }
else let names = namesIn (if nested then 2 else 0) "" packages; in { count = length names; inherit names; }
