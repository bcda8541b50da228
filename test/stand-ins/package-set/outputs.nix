# Everything that a binary cache has of a set (tree/): each output with what it refers to and what is
# in it. What the set refuses by itself is built nowhere, and so is in no cache.
{ tree, system }:

let
  inherit (builtins)
    attrNames concatLists deepSeq elem filter isAttrs map tryEval unsafeDiscardStringContext;

  pkgs = import (tree + "/pkgs/top-level") { localSystem = { inherit system; }; config = { }; overlays = [ ]; };

  quiet = default: value: let tried = tryEval value; in if tried.success then tried.value else default;
  plain = value: unsafeDiscardStringContext (toString value);

  # An abort cannot be caught.
  names = set: filter (name: name != "aborting-tool") (attrNames set);
  packagesIn = depth: set: concatLists (map
    (name:
      let value = quiet null set.${name};
      in
      if ! isAttrs value then [ ]
      else if value.type or null == "derivation" then [ value ]
      else if depth > 0 && value.recurseForDerivations or false then packagesIn (depth - 1) value
      else [ ])
    (names set));

  outputsOf = drv:
    let
      needs = map plain drv.contents.needed;
      own = output: plain drv.${output}.outPath;
      has = output: elem output drv.outputs;
      main = if has "bin" then "bin" else "out";
      libraries = if has "lib" then "lib" else "out";
    in map
      (output: {
        path = own output;
        deriver = plain drv.drvPath;
        inherit (drv.contents) pname version;
        inherit output;
        programs = if output == main then drv.contents.programs else [ ];
        files = if output == "out" then drv.contents.files else [ ];
        size = if output == libraries then drv.contents.size else 0;
        references =
          (if output == main && drv.contents.programs != [ ] then [ (own main) (own libraries) ] ++ needs else [ ])
          ++ (if output == libraries then needs else [ ])
          ++ (if output == "dev" then [ (own libraries) ] else [ ]);
      })
      drv.outputs;

  sourcesOf = drv: map (source: { path = plain source.outPath; inherit (source) url; })
    ((if drv ? src then [ drv.src ] else [ ]) ++ drv.patches or [ ]);

  entriesOf = drv: quiet [ ]
    (let entries = (if drv.contents.cached then outputsOf drv else [ ]) ++ sourcesOf drv;
    in deepSeq entries entries);

  stages = pkgs.stdenvStages;
  environments = map (name: stages.${name}) [ "stage0" "stage1" "stage2" "stage3" "final" ];
  tools = concatLists (map (each: filter (tool: tool ? contents) each.tools) environments);
in
{
  packages = concatLists (map entriesOf (packagesIn 2 pkgs ++ tools));
  environments = map (each: { path = plain each.made.outPath; tools = map plain each.tools; }) environments;
  bootstrap = plain stages.bootstrapTools.outPath;
}
