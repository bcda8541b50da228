# The compiler's libraries are one output in nixpkgs.
ln -s "${input[glibc]}/lib/libgcc_s.so.1" lib/libgcc_s.so.1
rm -rf share
