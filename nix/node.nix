# Node as a builder: `node` is the path of its program, or the program of a package. One that lies
# outside the store is copied with its loader and libraries, since a sandbox has nothing else; so
# are those of Node's own builds, which npm's packages of Node are. Nix cannot read what others need.
{ node, system }:

let
  inherit (builtins)
    all attrNames filter hasContext hashFile head match pathExists readDir storePath substring;

  given = toString node;
  isInStore = path: substring 0 11 path == "/nix/store/";

  # What lies outside the store may be where no builder may look, as in /root. A link would be copied
  # as one, and is followed where it is.
  isFile = path: (readDir (dirOf (/. + path))).${baseNameOf path} or "" == "regular";

  program =
    # A bare string says nothing of the store path that it lies in, which a sandbox must have.
    if isInStore given then (if hasContext given then given else storePath given)
    else if isFile given then "${builtins.path { name = "node"; path = /. + given; }}"
    else given;
  isCopied = ! isInStore given && isInStore program;

  # With the names that they may be links to: libc-2.31.so, libgcc_s-13-20230728.so.1.
  names = "(ld|libc|libdl|libm|libpthread|libgcc_s|libstdc[+][+]|libatomic)(-[^/]*)?[.]so([.][0-9.]+)?";
  needed = [ "libc.so.6" "libm.so.6" "libgcc_s.so.1" "libstdc++.so.6" loader ];
  loader = { x86_64-linux = "ld-linux-x86-64.so.2"; aarch64-linux = "ld-linux-aarch64.so.1"; }.${system};
  multiarch = { x86_64-linux = "x86_64-linux-gnu"; aarch64-linux = "aarch64-linux-gnu"; }.${system};
  folders = filter
    (folder: pathExists folder && all (name: pathExists (folder + "/${name}")) needed)
    [ (/usr/lib + "/${multiarch}") (/lib + "/${multiarch}") /usr/lib64 /lib64 /usr/lib /lib ];
  libraries = "${builtins.path {
    name = "node-libraries";
    path = head folders;
    filter = path: _type: match names (baseNameOf path) != null;
  }}";
in
{
  # Of a derivation whose builder is Node with these arguments.
  run = arguments:
    if isCopied && folders != [ ] then {
      builder = "${libraries}/${loader}";
      args = [ "--library-path" libraries program ] ++ arguments;
    } else { builder = program; args = arguments; };

  # A program outside the store may be replaced under its name; then nothing built with it counts.
  hash = if isInStore program then "" else hashFile "sha256" program;
}
