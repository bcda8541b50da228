# What is said of a whole image (README.md, field by field): a set of `contents` and `config`. A
# function of how lookup.nix describes packages, then of the image's attribute path and value.
{ filesAt, isDerivation, packageAt, packageNamed, plain }:

let
  inherit (builtins)
    any appendContext attrNames concatLists elem filter fromJSON getContext head isAttrs isList
    isString map stringLength substring toJSON typeOf;

  # A derivation, the name of a package, or files of one's own. `name` is what it is called where it
  # cannot be had.
  contentOf = value:
    if isDerivation value then
      let
        name = plain (value.name or "a derivation");
        said = packageAt { path = [ name ]; inherit value; trail = [ ]; } value;
      in {
        inherit name;
        # It is in no set that is known here.
        said = if said.kind == "found" then said // { attribute = name; } else said;
        members = [ ];
      }
    else if isString value && substring 0 1 value != "/" then
      { name = value; } // packageNamed (plain value)
    else if typeOf value == "path" || isString value then
      let path = plain "${value}";
      in { name = substring 44 (stringLength path) path; said = filesAt path; members = [ ]; }
    else {
      name = "contents";
      said = { kind = "not-a-package"; what = typeOf value; attribute = [ ]; };
      members = [ ];
    };

  # What a config names, such as `"${pkgs.nginx}/bin/nginx"`, an image holds without being told.
  namedBy = text:
    let
      context = getContext text;
      known = path: appendContext path { ${path}.path = true; };
      # Importing a .drv gives the derivation again, with the paths of its outputs.
      outputsIn = path: map (output: (import (known path)).${output}) context.${path}.outputs;
    in concatLists (map
      (path: if context.${path} ? outputs then outputsIn path else [ (known path) ])
      (attrNames context));
in
attribute: value:

let
  wrong = reason: { said = { kind = "bad-image"; inherit attribute reason; }; members = [ ]; };
  unknown = filter (field: ! elem field [ "contents" "config" ]) (attrNames value);
  listed = value.contents or [ ];
  config = toJSON (value.config or { });
  isListed = content: any
    (other: isDerivation other && content ? outPath && plain other.outPath == plain content.outPath)
    listed;
  held = map contentOf (listed ++ filter (content: ! isListed content) (namedBy config));
in
if ! isAttrs value then wrong "is a ${typeOf value}, not a set of contents and config"
else if unknown != [ ] then wrong "has ${head unknown}, and takes contents and config"
else if ! isList listed then wrong "contents is a ${typeOf listed}, not a list"
else {
  said = {
    kind = "image";
    inherit attribute;
    config = fromJSON (plain config);
    contents = map ({ name, said, ... }: { inherit name said; }) held;
  };
  members = concatLists (map (content: content.members) held);
}
