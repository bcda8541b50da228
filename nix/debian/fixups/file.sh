# The magic database is looked up in /etc and /usr/share.
wrap file "export MAGIC=\"\${MAGIC-${input[libmagic-mgc]}/lib/file/magic.mgc}\""
