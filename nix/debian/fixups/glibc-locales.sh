# The archive of C.UTF-8 alone, where nixpkgs has that of all locales.
mkdir -p keep/usr/lib/locale
localedef --prefix="$PWD/keep" --quiet --add-to-archive lib/locale/C.utf8
rm -rf bin etc lib libexec share
mkdir lib
mv keep/usr/lib/locale lib/
