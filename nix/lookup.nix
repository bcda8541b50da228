# Looks up names in a package set and says of each what it is, as plain data (README.md, field by
# field). It uses nothing but builtins, so any attribute set can be asked, and it forces nothing but
# the attributes on a name's path: a package that does not evaluate hides no other.
{ source, system, names, strict ? false, image ? null }:

let
  inherit (builtins)
    all any attrNames concatLists concatStringsSep deepSeq elem filter fromJSON genList groupBy
    head isAttrs isFunction isList isString listToAttrs map parseDrvName replaceStrings split
    stringLength substring tail toString tryEval typeOf unsafeDiscardStringContext;

  packages = import ./load.nix { inherit source system; };

  # With `strict`, what does not evaluate ends the evaluation, because only then Nix says why.
  guard = value: if strict then { success = true; inherit value; } else tryEval value;
  # For what a result can do without, such as a description.
  quiet = default: value:
    let tried = tryEval value;
    in if tried.success then tried.value else default;

  plain = value: unsafeDiscardStringContext (toString value);
  text = value: quiet null (if isString value then plain value else null);
  texts = values: quiet [ ] (if isList values then filter (v: v != null) (map text values) else [ ]);
  last = list: if tail list == [ ] then head list else last (tail list);
  letters = text: map (i: substring i 1 text) (genList (i: i) (stringLength text));
  lowerCase = replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (letters "abcdefghijklmnopqrstuvwxyz");
  isDigit = character: elem character (letters "0123456789");
  dotted = concatStringsSep ".";
  isDerivation = value: isAttrs value && quiet false (value.type or null == "derivation");

  ## From a name to an attribute

  exactly = set: component: if set ? ${component} then [ component ] else [ ];
  # Comparing lengths first leaves a handful of a large set's names to be put in lower case. For the
  # set that every name is looked up in, that is done once.
  byLength = groupBy (name: toString (stringLength name)) (attrNames packages);
  namesOfSize = at: set: size:
    if at.path == [ ] then byLength.${toString size} or [ ]
    else filter (name: stringLength name == size) (attrNames set);
  inAnyCase = at: set: component:
    let lower = lowerCase component;
    in filter (name: name != component && lowerCase name == lower)
      (namesOfSize at set (stringLength component));

  # The spellings of a component, best first, in groups of which a later one is only computed when
  # nothing came of those before.
  spellings = at: set: component: [ (exactly set component) (inAnyCase at set component) ]
    ++ (if isDigit (substring 0 1 component)
    then [ (exactly set "_${component}") (inAnyCase at set "_${component}") ] else [ ]);

  # `at` is { value, path, parent }. An attribute that does not evaluate ends the search: it is what
  # was meant, and saying it is missing would be wrong.
  walk = at: components:
    if components == [ ] then { kind = "at"; inherit at; }
    else
      let
        set = guard at.value;
        component = head components;
        miss = { kind = "missing"; within = at.path; inherit component; set = set.value; };
        step = name: walk
          { value = set.value.${name}; path = at.path ++ [ name ]; parent = set.value; }
          (tail components);
        # The first spelling that led deeper gives the better report of what is missing.
        firstOf = missed: candidates:
          if candidates == [ ] then missed
          else
            let result = step (head candidates);
            in if result.kind != "missing" then result
            else firstOf (if missed.within == at.path then result else missed) (tail candidates);
        firstOfGroups = missed: groups:
          if groups == [ ] then missed
          else
            let result = firstOf missed (head groups);
            in if result.kind != "missing" then result else firstOfGroups result (tail groups);
      in
      if ! set.success then { kind = "failed"; }
      else if ! isAttrs set.value then miss // { set = { }; }
      else firstOfGroups miss (spellings at set.value component);

  ## From an attribute to what is said of it

  documentation = [ "man" "doc" "devdoc" "info" "debug" "dev" ];

  outputsOf = at: drv: meta:
    let
      # `openssl.dev` asks for that output and no other.
      asked = quiet false (drv.outputSpecified or false)
        || isDerivation at.parent && quiet false (drv.outputName == last at.path);
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
    (licenseItems meta));

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
      attribute = dotted at.path;
      inherit (built.value) outputs derivation;
      name = if name == null then parsed.name else name;
      version = if version == "" then null else version;
      description = text (meta.description or null);
      licenses = licenseNames meta;
      mainProgram = text (meta.mainProgram or null);
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
    };

  describe = at:
    let value = guard at.value;
    in
    if ! value.success then { kind = "failed"; }
    else if isDerivation value.value then packageAt at value.value
    else {
      kind = "not-a-package";
      what = if isFunction value.value then "function" else typeOf value.value;
      attribute = dotted at.path;
    };

  packageNamed = name:
    let
      components = filter isString (split "\\." name);
      walked = walk { value = packages; path = [ ]; parent = null; } components;
    in
    if walked.kind == "at" then {
      said = describe walked.at;
      members =
        let set = quiet null walked.at.value;
        in if isAttrs set && ! isDerivation set then [ (membersOf walked.at.path set) ] else [ ];
    }
    else if walked.kind == "missing" then {
      said = { kind = "missing"; within = dotted walked.within; inherit (walked) component; };
      members = [ (membersOf walked.within walked.set) ];
    }
    else { said = { kind = "failed"; }; members = [ ]; };

  membersOf = path: set: {
    name = dotted path;
    value = attrNames set ++ (if path == [ ] then attrNames images else [ ]);
  };

  ## Whole images: a package set may define some, under `nixportImages`

  imageAt = import ./whole-image.nix {
    inherit filesAt isDerivation packageAt packageNamed plain;
  };

  images =
    let set = quiet null (packages.nixportImages or null);
    in if isAttrs set && ! isDerivation set then set else { };
  imageNames = name: concatLists (spellings { path = [ "nixportImages" ]; } images name);

  # An image goes before a package of the same name: whoever defines one means it to be pulled.
  answer = name:
    let named = imageNames name;
    in if named == [ ] then packageNamed name
    else imageAt "nixportImages.${head named}" images.${head named};

  # Whatever still throws is caught here, so that it costs one name its answer and no other.
  answerSafely = name:
    let tried = guard (let a = answer name; in deepSeq a.said a);
    in if tried.success then tried.value else { said = { kind = "failed"; }; members = [ ]; };

  answers = map answerSafely (fromJSON names);
  # An image of the caller's own (image.nix), in the form of those that a set defines.
  given = if image == null then [ ] else [ (imageAt "the image" image) ];
in
# Loading comes first: a source that cannot be loaded must say so even when no name is asked.
builtins.seq packages {
  lookups = map (a: a.said) answers;
  members = listToAttrs (concatLists (map (a: a.members) (answers ++ given)));
} // (if image == null then { } else { image = (head given).said; })
