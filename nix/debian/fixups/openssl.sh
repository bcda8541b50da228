# The configuration is looked up in /usr/lib/ssl; without it `openssl req` refuses to work.
wrap openssl "export OPENSSL_CONF=\"\${OPENSSL_CONF-$out/etc/ssl/openssl.cnf}\""
# The scripts need perl, which openssl does not depend on; the rest of lib/ssl are links to /etc.
rm -rf bin/c_rehash lib/ssl
