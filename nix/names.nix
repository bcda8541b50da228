# From a dotted name to the attributes of a package set that it may mean (README.md, "Names"). A
# function of the set and of how lookup.nix looks at values; nothing but the way there is evaluated.
{ packages, guard, isDerivation, quiet }:

let
  inherit (builtins)
    attrNames concatLists concatStringsSep elem elemAt filter genList groupBy head isAttrs isString
    length listToAttrs map match replaceStrings split stringLength substring tail toString;

  letters = text: map (i: substring i 1 text) (genList (i: i) (stringLength text));
  lowerCase = replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (letters "abcdefghijklmnopqrstuvwxyz");
  isDigit = character: match "[0-9]" character != null;
  last = list: elemAt list (length list - 1);

  ## What a part of a name says, as registry/naming/attribute.ts writes it

  escape = "--([2-6][0-9a-f]|7[0-9a-e])";
  hex = letters "0123456789abcdef";
  # From space, whose code is 32, to tilde.
  signs = letters (" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_"
    + "`abcdefghijklmnopqrstuvwxyz{|}~");
  codeOf = i: elemAt hex (i / 16) + elemAt hex (i - 16 * (i / 16));
  signOf = listToAttrs (genList (i: { name = codeOf (i + 32); value = elemAt signs i; }) (length signs));

  # An attribute that is written exactly, or null for a part without an escape.
  exactIn = part:
    let
      # `0` stands before an escape where a name must not begin with a sign.
      padded = match "0${escape}" (substring 0 5 part) != null;
      pieces = split escape (if padded then substring 1 (stringLength part) part else part);
    in
    if length pieces == 1 then null
    else concatStringsSep "" (map (piece: if isString piece then piece else signOf.${head piece}) pieces);

  ## Which attributes of a set a part may mean

  # Comparing lengths first leaves a handful of a large set's names to be put in lower case. For the
  # set that every name is looked up in, that is done once.
  byLength = groupBy (name: toString (stringLength name)) (attrNames packages);
  inAnyCase = isTop: set: part:
    let
      lower = lowerCase part;
      ofSize = if isTop then byLength.${toString (stringLength part)} or [ ] else attrNames set;
    in filter (name: stringLength name == stringLength part && lowerCase name == lower) ofSize;

  # In groups, of which the second counts where nothing came of the first: the attribute as it is
  # written; then all that differ in their case, or by an underscore before a digit.
  spellings = isTop: set: part:
    let
      exact = exactIn part;
      whole = if exact == null then part else exact;
      others = inAnyCase isTop set part
        ++ (if isDigit (substring 0 1 part) then inAnyCase isTop set "_${part}" else [ ]);
    in [
      (if set ? ${whole} then [ whole ] else [ ])
      (if exact == null then filter (name: name != part) others else [ ])
    ];

  ## The walk

  # Sets that hold themselves under several spellings make a name of 16 parts lead to millions of
  # places. Who asks for one is told of some, up to where it became too many.
  maxWays = 64;

  # `at` is { value, path, trail, ways }: `trail` has the sets on the way, the outermost first; `ways`,
  # among how many this one is. One of a derivation's own outputs leads no further, or there would be
  # no end of names for it.
  isOutput = at: at.trail != [ ] && isDerivation (last at.trail)
    && elem (last at.path) (quiet [ ] ((last at.trail).outputs or [ "out" ]));

  # Gives { hits, miss }: the places that the parts may mean; where there is none, what was missing
  # the deepest. An attribute that does not evaluate ends the walk: it may be what was meant.
  walk = at: parts:
    let
      set = guard at.value;
      found = hits: { inherit hits; miss = null; };
      step = ways: name: walk
        {
          value = set.value.${name};
          path = at.path ++ [ name ];
          trail = at.trail ++ [ set.value ];
          ways = at.ways * ways;
        }
        (tail parts);
      tryEach = groups:
        let
          results = map (step (length (head groups))) (head groups);
          hits = concatLists (map (result: result.hits) results);
          later = tryEach (tail groups);
        in
        if groups == [ ] then { hits = [ ]; misses = [ ]; }
        else if hits != [ ] then { inherit hits; misses = [ ]; }
        else { inherit (later) hits; misses = map (result: result.miss) results ++ later.misses; };
      tried = tryEach (spellings (at.path == [ ]) set.value (head parts));
      miss = members: { within = at.path; component = head parts; set = members; };
    in
    if parts == [ ] then found [ at ]
    else if ! set.success then found [ at ]
    else if ! isAttrs set.value then { hits = [ ]; miss = miss { }; }
    else if isOutput at && isDerivation set.value then found [ (at // { beyond = true; }) ]
    else if at.ways > maxWays then found [ (at // { lost = true; }) ]
    else if tried.hits != [ ] then found tried.hits
    # The first spelling that led deeper gives the better report.
    else { hits = [ ]; miss = head (tried.misses ++ [ (miss set.value) ]); };
in
{
  inherit isOutput last;
  walk = name: walk { value = packages; path = [ ]; trail = [ ]; ways = 1; } (filter isString (split "\\." name));
  # What a whole name, dots and all, may mean in a set of its own.
  spelledIn = set: name:
    let groups = spellings false set name;
    in if head groups != [ ] then head groups else elemAt groups 1;
}
