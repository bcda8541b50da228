# The converters are looked up under a compiled-in path that does not exist in an image.
rm -rf lib/gconv lib/audit etc share
# nixpkgs' loader searches no folder of the system's and reads no list of its libraries, so that a program
# finds what its package names, in any image: here these are names that are nowhere, of the same length.
perl -0777 -pi -e '
  s{((?:/usr)?)/lib(/|/[a-z0-9_-]+-linux-gnu/)(?=\0)}{$1/nix$2}g;
  s{/etc(?=/ld\.so\.(cache|preload)\0)}{/nix}g;
' "$loader"
