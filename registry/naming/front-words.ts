// The words that stand in front of the packages in a name: what each stands for, and what it needs of a
// package set. nix/image.nix states the same once more, since Nix must know it before anything runs.

/** Short for packages, each by nixpkgs' attributes. All of one word are one part of an image. */
export const EXPANSIONS = {
  /** Nixery's four. */
  shell: ["bashInteractive", "coreutils", "moreutils", "nano"],
  /** What the lines of CI jobs and install scripts expect besides. */
  unix: [
    ...["diffutils", "findutils", "gawk", "gnugrep", "gnused", "gnutar", "gzip", "less"],
    ...["procps", "which"],
  ],
} as const;
export type ExpansionWord = keyof typeof EXPANSIONS;
export const EXPANSION_WORDS = ["shell", "unix"] as const satisfies readonly ExpansionWord[];

/** What an image is besides its packages, so that a recipe has these words too. In byte order. */
export const RECIPE_WORDS = ["fhs", "nonroot"] as const;
export type RecipeWord = (typeof RECIPE_WORDS)[number];

/**
 * What an image of the word holds besides what is named: the loader and the libraries of programs that
 * Nix did not build, and `env` for scripts, since /usr/bin is a link then.
 */
export const NEEDS: Readonly<Record<RecipeWord, readonly string[]>> = {
  fhs: ["nix-ld", "glibc.out", "stdenv.cc.cc.lib", "zlib", "openssl.out", "coreutils"],
  nonroot: [],
};
