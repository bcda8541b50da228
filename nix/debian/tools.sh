# Makes the tools that build the set, out of the .debs of Debian's own programs. In a sandbox there is
# nothing yet: this runs in busybox, which needs no other file, and perl is started by the loader
# that lies beside it.
#
# Environment, from default.nix: out; debs; busybox; loader, its file name; multiarch; elf, elf.pl.

set -eu
export LC_ALL=C
umask 022

run() { "$busybox" "$@"; }

raw=$out/.raw
run mkdir -p "$raw" "$out/bin" "$out/lib"
for deb in $debs; do run dpkg-deb -x "$deb" "$raw"; done

for folder in "$raw"/bin "$raw"/usr/bin; do
  [ ! -d "$folder" ] || run mv "$folder"/* "$out/bin/"
done
for folder in "$raw/lib/$multiarch" "$raw/usr/lib/$multiarch"; do
  [ ! -d "$folder" ] || run mv "$folder"/* "$out/lib/"
done
# C.UTF-8, which the C library gets.
run mv "$raw/usr/lib/locale" "$out/lib/"
run rm -rf "$raw"

# Perl runs with the libraries as they were, while those of the same name are changed.
run cp -a "$out/lib" "$out/new"
{
  for file in "$out"/lib/*.so*; do printf '%s\t%s\n' "${file##*/}" "$out/lib"; done
  for file in "$out"/bin/* "$out"/new/*.so*; do [ -L "$file" ] || echo "$file"; done
} >"$out/files"
PERL5LIB=$out/lib/perl-base \
  "$out/lib/$loader" --library-path "$out/lib" "$out/bin/perl" "$elf" "$out/lib/$loader" <"$out/files"
run rm -r "$out/files" "$out/lib"
run mv "$out/new" "$out/lib"
