# Licences, as packages name them in their meta.

let
  license = shortName: spdxId: { inherit shortName spdxId; fullName = spdxId; free = true; deprecated = false; };
in {
  asl20 = license "asl20" "Apache-2.0";
  bsd3 = license "bsd3" "BSD-3-Clause";
  curl = license "curl" "curl";
  gpl2Only = license "gpl2Only" "GPL-2.0-only";
  gpl2Plus = license "gpl2Plus" "GPL-2.0-or-later";
  gpl3Plus = license "gpl3Plus" "GPL-3.0-or-later";
  isc = license "isc" "ISC";
  lgpl21Plus = license "lgpl21Plus" "LGPL-2.1-or-later";
  lgpl3Plus = license "lgpl3Plus" "LGPL-3.0-or-later";
  mit = license "mit" "MIT";
  mpl20 = license "mpl20" "MPL-2.0";
  openssl = license "openssl" "OpenSSL";
  psfl = license "psfl" "Python-2.0";
  publicDomain = { shortName = "publicDomain"; fullName = "Public Domain"; free = true; deprecated = false; };
  zlib = license "zlib" "Zlib";

  unfree = { shortName = "unfree"; fullName = "Unfree"; free = false; deprecated = false; };
  unfreeRedistributable = {
    shortName = "unfreeRedistributable";
    fullName = "Unfree redistributable";
    free = false;
    redistributable = true;
    deprecated = false;
  };
}
