# Builds a package, which takes no compiler here: each output says of itself what it is and refers to
# what it was linked with. `nix-support/made` tells it from what came out of a cache.

if [ -n "$buildCommand" ]; then
  eval "$buildCommand"
  exit
fi

# Makes the folders above a file, and gives the file back.
place() {
  mkdir -p "${1%/*}"
  echo "$1"
}

for output in $outputs; do
  eval "path=\$$output"
  echo "from source" > "$(place "$path/nix-support/made")"
done

main=${bin:-$out}
libraries=${lib:-$out}
echo "$needed" > "$(place "$libraries/nix-support/needed")"

for program in $programs; do
  file=$(place "$main/bin/$program")
  printf '%s\n' "$name: $program, in $main" "from source" "needs $libraries $needed" > "$file"
  chmod 755 "$file"
done

for file in $files; do
  printf '%s\n' "$name: $file" "from source" > "$(place "$out/$file")"
done

if [ "$size" -gt 0 ]; then
  data="$name "
  while [ ${#data} -lt "$size" ]; do data="$data$data"; done
  echo "$data" > "$(place "$libraries/lib/lib$pname.so")"
fi

if [ -n "${dev:-}" ]; then
  echo "$libraries" > "$(place "$dev/nix-support/propagated-build-inputs")"
  echo "/* $name */" > "$(place "$dev/include/$pname.h")"
fi
if [ -n "${man:-}" ]; then echo ".TH $pname" > "$(place "$man/share/man/man1/$pname.1")"; fi
if [ -n "${doc:-}" ]; then echo "$name" > "$(place "$doc/share/doc/$pname/readme")"; fi
