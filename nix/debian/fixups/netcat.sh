# `nc` is an alternative in Debian.
ln -s nc.openbsd bin/nc
ln -s nc.openbsd bin/netcat
