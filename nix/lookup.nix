# Looks up names in a package set and says of each what it is, as plain data (README.md, field by
# field). It uses nothing but builtins, so any attribute set can be asked, and it forces nothing but
# the attributes on a name's path: a package that does not evaluate hides no other. With `slice` it is
# asked of attributes by their paths instead, by the thousand.
{ source, system, names ? "[]", slice ? null, strict ? false, image ? null }:

let
  inherit (builtins)
    all any attrNames attrValues concatLists deepSeq elem elemAt filter foldl' fromJSON genList head
    isAttrs isFunction isList isString length listToAttrs map parseDrvName readFile stringLength
    substring toJSON toString trace tryEval typeOf unsafeDiscardStringContext;

  packages = import ./load.nix { inherit source system; };

  # With `strict`, what does not evaluate ends the evaluation, because only then Nix says why.
  guard = value: if strict then { success = true; inherit value; } else tryEval value;
  # For what a result can do without, such as a description.
  quiet = default: value:
    let tried = tryEval value;
    in if tried.success then tried.value else default;

  plain = value: unsafeDiscardStringContext (toString value);
  # A set may say anything of its packages, and of any length: what is longer than this is nothing that
  # anybody reads, and what is shorter is cut by who writes it down (lookup-json.ts).
  maxText = 65536;
  maxTexts = 64;
  first = count: list: genList (elemAt list) (if length list < count then length list else count);
  text = value: quiet null
    (if isString value && stringLength value <= maxText then plain value else null);
  texts = values: quiet [ ] (if isList values then filter (v: v != null) (map text (first maxTexts values)) else [ ]);
  isDerivation = value: isAttrs value && quiet false (value.type or null == "derivation");

  naming = import ./names.nix { inherit packages guard isDerivation quiet; };
  inherit (naming) last;
  canonical = import ./canonical.nix {
    inherit describe isDerivation packages quiet;
    inherit (naming) isOutput;
  };

  ## From an attribute to what is said of it

  documentation = [ "man" "doc" "devdoc" "info" "debug" "dev" ];

  outputsOf = at: drv: meta:
    let
      # `openssl.dev` asks for that output and no other.
      asked = quiet false (drv.outputSpecified or false)
        || at.trail != [ ] && isDerivation (last at.trail)
        && quiet false (drv.outputName == last at.path);
      existing = drv.outputs or [ "out" ];
      installed = filter (o: elem o existing && ! elem o documentation)
        (texts (meta.outputsToInstall or [ ]));
      default = { name = plain (drv.outputName or "out"); path = plain drv.outPath; };
    in
    if asked || installed == [ ] then [ default ]
    else map (name: { inherit name; path = plain drv.${name}.outPath; }) installed;

  licenseItems = meta: quiet [ ]
    (let license = meta.license or [ ]; in if isList license then license else [ license ]);
  licenseNames = meta: filter (name: name != null) (map
    (item: quiet null (if isAttrs item
    then text (item.spdxId or item.shortName or item.fullName or null)
    else text item))
    (first maxTexts (licenseItems meta)));

  # Only asked when a derivation did not evaluate, since the operator may have allowed what its meta
  # says; what the configuration allows is not the reason.
  refusal = drv: meta:
    let
      config = (fromJSON source).config or { };
      allowed = setting: config.${setting} or false == true;
      flag = name: quiet false (meta.${name} or false == true);
      isUnfree = item: quiet false (isAttrs item && item.free or true == false);
      vulnerabilities = texts (meta.knownVulnerabilities or [ ]);
      platforms = quiet [ ] (meta.platforms or [ ]);
      elsewhere = quiet false (isList platforms && platforms != [ ] && all isString platforms
        && ! elem system platforms);
    in
    if ! allowed "allowUnfree" && (flag "unfree" || any isUnfree (licenseItems meta)) then
      { kind = "unfree"; licenses = licenseNames meta; }
    else if ! allowed "allowBroken" && flag "broken" then { kind = "broken"; }
    else if ! allowed "allowUnsupportedSystem" && (flag "unsupported" || elsewhere) then
      { kind = "unsupported"; inherit system; }
    else if ! allowed "allowInsecure" && (flag "insecure" || vulnerabilities != [ ]) then
      { kind = "insecure"; inherit vulnerabilities; name = text (drv.name or null); }
    else { kind = "failed"; };

  # A set that knows nothing of systems gives packages for its own; they must not end up in an image
  # for another. 32-bit programs run on their 64-bit system, and `builtin` builders on any.
  runsHere = drv:
    let made = quiet null (drv.system or null);
    in ! isString made || elem made ([ system "builtin" ] ++
      (if system == "x86_64-linux" then [ "i686-linux" ]
      else if system == "aarch64-linux" then [ "armv7l-linux" ]
      else [ ]));

  packageAt = at: drv:
    let
      meta = quiet { } (if isAttrs (drv.meta or { }) then drv.meta or { } else { });
      fullName = text (drv.name or (last at.path));
      parsed = parseDrvName (if fullName == null then last at.path else fullName);
      version = text (drv.version or parsed.version);
      name = text (drv.pname or parsed.name);
      outputs = outputsOf at drv meta;
      built = guard (deepSeq outputs {
        inherit outputs;
        # A set may hold finished outputs without derivations; those can be realised too.
        derivation = if drv ? drvPath then plain drv.drvPath else plain drv.outPath;
      });
    in
    if ! built.success then refusal drv meta
    else if ! runsHere drv then { kind = "unsupported"; inherit system; }
    else {
      kind = "found";
      attribute = at.path;
      inherit (built.value) outputs derivation;
      name = if name == null then parsed.name else name;
      version = if version == "" then null else version;
      description = text (meta.description or null);
      licenses = licenseNames meta;
      mainProgram = text (meta.mainProgram or null);
      # Some have several.
      homepage = head (texts (quiet [ ]
        (let pages = meta.homepage or [ ]; in if isList pages then pages else [ pages ])) ++ [ null ]);
    };

  # The same as a package whose output is already there.
  filesAt = path:
    let parsed = parseDrvName (substring 44 (stringLength path) path);
    in {
      kind = "found";
      attribute = parsed.name;
      outputs = [ { name = "out"; inherit path; } ];
      derivation = path;
      inherit (parsed) name;
      version = if parsed.version == "" then null else parsed.version;
      description = null;
      licenses = [ ];
      mainProgram = null;
      homepage = null;
    };

  describe = at:
    let value = guard at.value;
    in
    if ! value.success then { kind = "failed"; }
    else if isDerivation value.value then packageAt at value.value
    else {
      kind = "not-a-package";
      what = if isFunction value.value then "function" else typeOf value.value;
      attribute = at.path;
    };

  packageNamed = name:
    let
      walked = naming.walk name;
      at = head walked.hits;
      said = canonical.said at (describe at);
    in
    if walked.hits == [ ] then {
      said = { kind = "missing"; inherit (walked.miss) within component; };
      members = [ (membersOf walked.miss.within walked.miss.set) ];
    }
    else if length walked.hits > 1 || at.lost or false then {
      said = ambiguous (map (hit: hit.path) walked.hits);
      members = [ ];
    }
    else if at.beyond or false then {
      said = { kind = "detour"; steps = genList (i: i) (length at.path); };
      members = [ ];
    }
    else {
      inherit said;
      members = if said.kind == "not-a-package" && said.what == "set"
        then [ (membersOf at.path at.value) ]
        else [ ];
    };

  maxMeanings = 9;
  ambiguous = attributes: { kind = "ambiguous"; attributes = first maxMeanings attributes; };

  membersOf = path: set: {
    within = path;
    names = attrNames set ++ (if path == [ ] then attrNames images else [ ]);
  };

  ## Whole images: a package set may define some, under `nixportImages`

  imageAt = import ./whole-image.nix {
    inherit filesAt isDerivation packageAt packageNamed plain;
  };

  images =
    let set = quiet null (packages.nixportImages or null);
    in if isAttrs set && ! isDerivation set then set else { };

  # An image goes before a package of the same name: whoever defines one means it to be pulled.
  answer = name:
    let named = naming.spelledIn images name;
    in if named == [ ] then packageNamed name
    else if length named > 1 then { said = ambiguous (map (image: [ image ]) named); members = [ ]; }
    else imageAt "nixportImages.${head named}" images.${head named};

  # Whatever still throws is caught here, so that it costs one name its answer and no other.
  answerSafely = name:
    let tried = guard (let a = answer name; in deepSeq a.said a);
    in if tried.success then tried.value else { said = { kind = "failed"; }; members = [ ]; };

  ## Slices: attributes by their paths, set by set, for the index of all names

  asked = fromJSON (readFile slice);

  enter = at: name: {
    value = at.value.${name};
    path = at.path ++ [ name ];
    trail = at.trail ++ [ at.value ];
    ways = 1;
  };
  top = { value = packages; path = [ ]; trail = [ ]; ways = 1; };

  # Whether the attributes of a set are asked for too: where it asks for that itself, as in nix-env, or
  # the operator does.
  setAt = at:
    let
      names = attrNames at.value;
      isWanted = elem at.path asked.sets || quiet false (at.value.recurseForDerivations or false == true);
      isListed = isWanted && length at.path < asked.mostDeep && length names <= asked.mostNames;
    in {
      inherit (at) path;
      inherit isListed;
      names = if isListed then names else first maxExamples names;
    };
  maxExamples = 24;

  # Says on the way which attribute it is at: what takes the evaluation down says that of nobody else.
  inGroup = number: group:
    let
      set = foldl' enter top group.set;
      knownTurns = canonical.turnsAt (enter set "any");
      answerAt = name:
        let
          at = enter set name // { inherit knownTurns; };
          said = canonical.said at (describe at);
          isSet = said.kind == "not-a-package" && said.what == "set";
        in deepSeq said { inherit said; sets = if isSet then [ (setAt at) ] else [ ]; };
      safely = name:
        let tried = guard (answerAt name);
        in if tried.success then tried.value else { said = { kind = "failed"; }; sets = [ ]; };
    in genList
      (place: trace "attribute ${toString number}.${toString place}" (safely (elemAt group.names place)))
      (length group.names);

  answersInSlice = concatLists
    (genList (number: inGroup number (elemAt asked.groups number)) (length asked.groups));

  answers = map answerSafely (fromJSON names);
  # An image of the caller's own (image.nix), in the form of those that a set defines.
  given = if image == null then [ ] else [ (imageAt "the image" image) ];
in
# Loading comes first: a source that cannot be loaded must say so even when no name is asked.
builtins.seq packages (if slice != null then {
  lookups = map (a: a.said) answersInSlice;
  sets = concatLists (map (a: a.sets) answersInSlice);
  images = attrNames images;
  top = if asked.groups == [ ] then attrNames packages else [ ];
} else {
  lookups = map (a: a.said) answers;
  # Each set once.
  members = attrValues (listToAttrs (map (set: { name = toJSON set.within; value = set; })
    (concatLists (map (a: a.members) (answers ++ given)))));
} // (if image == null then { } else { image = (head given).said; }))
