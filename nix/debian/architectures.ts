// The machine types the set is made for: what Debian, Nix and the C library call each of them.

export interface Target {
  // Debian's name, which is Docker's too.
  readonly architecture: string;
  // Nix's.
  readonly system: string;
  // The library folder below `lib`.
  readonly multiarch: string;
  // The ELF interpreter in glibc's output.
  readonly loader: string;
}

// The popularity data is that of the first one locked, so that it is the same on every host.
export const TARGETS: readonly Target[] = [
  {
    architecture: "amd64",
    system: "x86_64-linux",
    multiarch: "x86_64-linux-gnu",
    loader: "lib/ld-linux-x86-64.so.2",
  },
  {
    architecture: "arm64",
    system: "aarch64-linux",
    multiarch: "aarch64-linux-gnu",
    loader: "lib/ld-linux-aarch64.so.1",
  },
];

// The one whose packages run on this machine, and whose index its apt has; undefined for others.
export function nativeTarget(): Target | undefined {
  const architecture = { x64: "amd64", arm64: "arm64" }[process.arch as string];
  return TARGETS.find((target) => target.architecture === architecture);
}
