# One bundle of all certificates under nixpkgs' name for it alone: other programs find it by the links
# that every image has.
mkdir -p etc/ssl/certs
find share/ca-certificates -name '*.crt' | sort | while IFS= read -r certificate; do
  cat "$certificate"
done >etc/ssl/certs/ca-bundle.crt
[[ -s etc/ssl/certs/ca-bundle.crt ]] || fail "no certificates"
rm -rf bin share etc/ca-certificates etc/ca-certificates.conf
