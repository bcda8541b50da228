# What packages ask of a system.
{ lib, system }:

let
  parts = builtins.match "([^-]+)-(.+)" system;
  cpu = builtins.head parts;
  kernel = builtins.elemAt parts 1;
in {
  inherit system;
  parsed = { cpu.name = cpu; kernel.name = kernel; };
  config = "${cpu}-unknown-${kernel}-gnu";
  isLinux = kernel == "linux";
  isDarwin = kernel == "darwin";
  isx86_64 = cpu == "x86_64";
  isAarch64 = cpu == "aarch64";
  is64bit = builtins.elem cpu [ "x86_64" "aarch64" "riscv64" ];
}
