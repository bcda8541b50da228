# One bundle of all certificates, under nixpkgs' name for it and under the one that Debian's openssl
# and curl look for in an image.
mkdir -p etc/ssl/certs
find share/ca-certificates -name '*.crt' | sort | while IFS= read -r certificate; do
  cat "$certificate"
done >etc/ssl/certs/ca-bundle.crt
[[ -s etc/ssl/certs/ca-bundle.crt ]] || fail "no certificates"
ln -s ca-bundle.crt etc/ssl/certs/ca-certificates.crt
rm -rf bin share etc/ca-certificates etc/ca-certificates.conf
