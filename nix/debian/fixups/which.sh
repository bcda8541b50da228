# `which` is an alternative in Debian.
mv bin/which.gnu bin/which
