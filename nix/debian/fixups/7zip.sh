# The smaller forms of the program, scripts that name it under /usr. Bookworm has none.
for script in bin/7z bin/7za bin/7zr; do
  [[ ! -f $script ]] || sed -i "s|/usr/lib/7zip/|$out/lib/7zip/|" "$script"
done
