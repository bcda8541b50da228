# The library looks for terminal descriptions in a compiled-in list of folders. Overwriting the list
# by the store path that has them saves every terminal program, bash and python3 a wrapper script.
compiled_in=/etc/terminfo:/lib/terminfo:/usr/share/terminfo
replacement=${input[tty]}
while [[ ${#replacement} -lt ${#compiled_in} ]]; do replacement+=/; done
[[ ${#replacement} -eq ${#compiled_in} ]] || fail "no room for $replacement"
for library in lib/libtinfo.so.*; do
  [[ ! -L $library ]] || continue
  grep -qF "$compiled_in" "$library" || fail "$library has no list of terminal description folders"
  sed -i "s|$compiled_in|$replacement|" "$library"
done
