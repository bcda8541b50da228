# The converters are looked up under a compiled-in path that does not exist in an image.
rm -rf lib/gconv lib/audit etc share
# nixpkgs' loader searches no folder of the system's and reads no list of its libraries, so that a program
# finds what its package names, in any image: here these are names that are nowhere, of the same length.
perl -0777 -pi -e '
  s{((?:/usr)?)/lib(/|/[a-z0-9_-]+-linux-gnu/)(?=\0)}{$1/nix$2}g;
  s{/etc(?=/ld\.so\.(cache|preload)\0)}{/nix}g;
' "$loader"
# The locale C.UTF-8 lies beside the library, as in nixpkgs. Given up for it is where message catalogues
# are looked up, of which no package has any. Without it programs have the locale C.
if perl "$repoint" lib/libc.so.6 \
  /usr/lib/locale/locale-archive "$out/lib/locale/locale-archive" /usr/share/locale/%L/%N:; then
  mkdir -p keep/usr/lib/locale
  localedef --prefix="$PWD/keep" --quiet --add-to-archive "$tools/lib/locale/C.utf8"
  mv keep/usr/lib/locale lib/
  rm -rf keep
fi
