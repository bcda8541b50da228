# The one attribute of a package that several lead to (README.md, "Names"): what holds itself is stepped
# over, and an output that is all that an image of its package holds is that package. A function of how
# lookup.nix describes what is at a place.
{ describe, isDerivation, isOutput, packages, quiet }:

let
  inherit (builtins)
    attrNames concatLists deepSeq elemAt filter foldl' genList head isAttrs length map;

  first = count: list: genList (elemAt list) count;
  from = start: list: genList (i: elemAt list (start + i)) (length list - start);
  known = at: quiet { kind = "failed"; } (let said = describe at; in deepSeq said said);
  isSame = a: b: a.kind == "found" && b.kind == "found"
    && a.derivation == b.derivation && a.outputs == b.outputs;

  # Whether a set could be the other one again: Nix cannot compare sets without looking into them, so
  # their names decide, and then what the rest of the path leads to. A set with more in it counts too,
  # such as one laid over nixpkgs, whose `pkgs` is without; and `pkgs` of nixpkgs itself has a name of
  # its own, so that nobody looks for packages in it.
  isAlike = outer: inner: outerCount:
    if isDerivation outer || isDerivation inner then
      isDerivation outer && isDerivation inner && quiet false (outer.outPath == inner.outPath)
    else
      let names = filter (name: name != "recurseForDerivations") (attrNames inner);
      in 2 * length names >= outerCount && 10 * length (filter (name: outer ? ${name}) names) >= 9 * length names;

  # Counting nixpkgs takes its time, so it is done once for all names.
  count = length (attrNames packages);
  countAt = at: i: if i == 0 then count else length (attrNames (elemAt at.trail i));

  # Pairs of places on the way, the nearest first, so that each turn is stepped over by itself. The
  # last place is the package's own, and may be that of a derivation on the way.
  pairs = places: concatLists (genList
    (span: genList (i: { outer = i; inner = i + span + 1; }) (places - span))
    places);
  isTurn = at: { outer, inner }:
    if inner == length at.trail then isDerivation (elemAt at.trail outer)
    else isAlike (elemAt at.trail outer) (elemAt at.trail inner) (countAt at outer);

  # The place that the rest of the path leads to from the outer set. `steps` are the parts of the name
  # that count, by their number; `turns`, how often a set was stepped over.
  shortcut = at: { outer, inner }: foldl'
    (place: name:
      if place == null || ! quiet false (isAttrs place.value && place.value ? ${name}) then null
      else place // {
        value = place.value.${name};
        path = place.path ++ [ name ];
        trail = place.trail ++ [ place.value ];
      })
    {
      value = elemAt at.trail outer;
      path = first outer at.path;
      trail = first outer at.trail;
      steps = first outer at.steps ++ from inner at.steps;
      turns = if inner == length at.trail && isOutput at then at.turns else at.turns + 1;
    }
    (from inner at.path);

  settle = at: said:
    let
      places = filter (place: place != null && isSame said (known place))
        (map (shortcut at) (at.knownTurns or (turnsAt at)));
      place = head places;
    in
    if said.kind != "found" || places == [ ] then said
    else if place.turns > 1 then { kind = "detour"; inherit (place) steps; }
    else settle place (known place);
  turnsAt = at: filter (isTurn at) (pairs (length at.trail));
in
{
  said = at: said: settle (at // { steps = genList (i: i) (length at.path); turns = 0; }) said;
  # The same for all attributes of a set, since it takes a look at each of its names: whoever asks for
  # many of them has it found once, as `knownTurns`.
  inherit turnsAt;
}
