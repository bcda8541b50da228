# Names of before: those that still lead somewhere, and those that only say what became of them.
lib: self: super:

let
  removed = builtins.mapAttrs (name: why: throw "'${name}' has been removed, as ${why}");
  renamed = builtins.mapAttrs (old: new: throw "'${old}' has been renamed to/replaced by '${new}'");
in
{
  bash_5 = self.bash;
  htop-vim = self.htop;
  python3Full = self.python3;
}
// removed {
  nodejs_18 = "it has reached the end of its life";
  openssl_1_1 = "nothing in the set needs it any more";
}
// renamed {
  greeter = "hello";
  iproute = "iproute2";
  jq-1_6 = "jq";
}
