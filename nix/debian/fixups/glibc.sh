# The converters are looked up under a compiled-in path that does not exist in an image.
rm -rf "lib/$multiarch/gconv" "lib/$multiarch/audit" etc share
