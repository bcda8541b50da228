# `awk` is an alternative in Debian.
ln -s gawk bin/awk
rm -rf etc
