# Does not build, so no cache has it.
{ lib, stdenv }:

stdenv.mkDerivation {
  pname = "failing-tool";
  version = "1.0";
  buildCommand = ''
    echo "checking for a compiler... none"
    exit 7
  '';
  passthru.uncached = true;
  meta = { description = "Does not build"; license = lib.licenses.mit; platforms = lib.platforms.linux; };
}
