// A package set with one name for each way in which evaluating can grow without end, beside names that
// evaluate as any.

import { SHELL_BUILDER } from "./sandbox-shell.ts";

/** Each grows by itself, whatever the limits are, but for `idle`, which only takes for ever. */
export const EXPLODING = [
  ...["list", "text", "json", "deep", "regex", "described", "many.nothing", "noise"],
] as const;

export function explodingSet(system: string, salt = ""): string {
  return `let
  make = name: derivation {
    inherit name; system = "${system}"; builder = ${SHELL_BUILDER}; salt = "${salt}";
    PATH = "/bin:/usr/bin"; args = [ "-c" "mkdir -p $out/bin; echo \${name} > $out/bin/\${name}" ];
  };
  doubled = text: times: if times == 0 then text else doubled (text + text) (times - 1);
  numbers = builtins.genList (n: n);
  # Takes up what it is told before it is a package.
  after = name: value: make name // { outPath = builtins.seq value (make name).outPath; };
  fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2);
in {
  cacert = make "nss-cacert-1.0";
  iana-etc = make "iana-etc-1.0";
  # The collected heap, all at once and bit by bit.
  list = after "list" (builtins.length (numbers 2000000000));
  text = after "text" (builtins.stringLength (doubled "0123456789abcdef" 40));
  # What is beside it.
  json = after "json" (builtins.stringLength (builtins.toJSON
    (map (_: doubled "0123456789abcdef" 20) (numbers 1000))));
  # The stack, of Nix's evaluator and of what it calls.
  deep = after "deep" (let f = n: 1 + f (n + 1); in f 0);
  regex = after "regex" (builtins.match "((a|b)*)*c" (doubled "abababab" 20));
  # What it says, to us and to its log.
  described = make "described" // { meta.description = doubled "0123456789abcdef" 21; };
  many = builtins.listToAttrs (map
    (n: { name = "\${doubled "a-long-name-" 3}\${toString n}"; value = n; }) (numbers 200000));
  noise = after "noise" (builtins.foldl' (a: n: builtins.trace (doubled "0123456789abcdef" 8) a)
    0 (numbers 10000));
  idle = after "idle" (fib 60);
  idle-2 = after "idle" (fib 61);
  idle-3 = after "idle" (fib 62);
} // builtins.listToAttrs (map (n: let name = "p\${toString n}"; in { inherit name; value = make name; })
  (numbers 200))
`;
}
