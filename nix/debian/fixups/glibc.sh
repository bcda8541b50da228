# The converters are looked up under a compiled-in path that does not exist in an image.
rm -rf lib/gconv lib/audit etc share
