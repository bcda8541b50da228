# The C library looks for locales in /usr/lib/locale only, so the folder keeps that name: an image
# that names this package understands LANG=C.UTF-8.
mkdir -p keep
mv lib/locale keep/
rm -rf bin etc lib libexec share
mkdir -p usr/lib
mv keep/locale usr/lib/
