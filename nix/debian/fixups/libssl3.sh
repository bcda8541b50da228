# Certificates and configuration are looked up in /etc/ssl, where nixpkgs' build looks and where images
# have them.
perl -0777 -pi -e 's{(?<=\0)/usr/lib/ssl((?:/[a-z._]+)?)\0}{/etc/ssl$1\0\0\0\0\0}g' lib/libcrypto.so.3
