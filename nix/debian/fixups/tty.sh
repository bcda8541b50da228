# The terminal descriptions are the store path itself: libtinfo6 has room for no longer path.
mkdir terminals
mv lib/terminfo/* terminals/
rm -rf etc lib share
mv terminals/* .
rmdir terminals
