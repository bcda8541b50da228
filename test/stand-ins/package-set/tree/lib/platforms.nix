# Systems, as packages name them in their meta.
rec {
  linux = [ "i686-linux" "x86_64-linux" "aarch64-linux" "armv7l-linux" "riscv64-linux" ];
  darwin = [ "x86_64-darwin" "aarch64-darwin" ];
  x86 = [ "i686-linux" "x86_64-linux" "x86_64-darwin" ];
  unix = linux ++ darwin;
  all = unix;
}
