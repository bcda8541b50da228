# Brings the files of a package source into the store and says where they lie: of `archive`, the URL
# of a forge's archive, else of a pinned source (source.nix). What the origin evaluates once for each
# revision; every evaluation after it is given the store path.
{ source ? null, archive ? null }:

if archive != null then "${fetchTarball archive}"
else "${(import ./source.nix { inherit source; }).files}"
