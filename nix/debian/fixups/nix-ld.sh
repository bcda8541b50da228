# The C library's own loader, which searches /lib, in the place of nixpkgs' program of this name. The
# libraries that it finds there are those of the packages in the image.
mkdir libexec
mv "$loader" libexec/nix-ld
rm -rf etc lib share
