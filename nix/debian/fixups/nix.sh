# The program starts itself, under another name, by a compiled-in path; what it stands for it tells by
# its name.
mkdir -p libexec/nix
mv bin/nix libexec/nix/nix
wrapper nix libexec/nix/nix \
  "export NIX_BIN_DIR=\"\${NIX_BIN_DIR-$out/bin}\"" \
  "export NIX_LIBEXEC_DIR=\"\${NIX_LIBEXEC_DIR-$out/libexec}\""
rm -rf lib/pkgconfig share
