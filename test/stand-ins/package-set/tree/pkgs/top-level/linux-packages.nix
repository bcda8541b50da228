# A kernel and its modules.
{ lib, pkgs, version }:

lib.makeScope pkgs.newScope (self: {
  kernel = pkgs.stdenv.mkDerivation {
    pname = "linux";
    inherit version;
    static = true;
    files = [ "bzImage" "System.map" ];
    size = 400000;
    meta = { description = "The kernel"; license = lib.licenses.gpl2Only; platforms = lib.platforms.linux; };
  };
  perf = pkgs.stdenv.mkDerivation {
    pname = "perf-linux";
    inherit version;
    programs = [ "perf" ];
    buildInputs = [ pkgs.zlib pkgs.openssl ];
    meta = { description = "Measures the kernel"; mainProgram = "perf"; license = lib.licenses.gpl2Only; platforms = lib.platforms.linux; };
  };
  nvidia_x11 = pkgs.stdenv.mkDerivation {
    pname = "nvidia-x11";
    version = "580.95.05-${self.kernel.version}";
    files = [ "lib/modules/nvidia.ko" ];
    meta = { description = "A module without source"; license = lib.licenses.unfreeRedistributable; platforms = lib.platforms.linux; };
  };
})
