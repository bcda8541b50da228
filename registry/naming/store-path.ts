// The branded path of a Nix store object, and its readable name.

declare const storePathBrand: unique symbol;
/** `/nix/store/<32 base-32 digits>-<name>`: the object itself, never a file below it. */
export type StorePath = string & { readonly [storePathBrand]: "StorePath" };

const STORE_PATH = /^\/nix\/store\/[0-9abcdfghijklmnpqrsvwxyz]{32}-[A-Za-z0-9+\-._?=]{1,211}$/;
const HASH_END = "/nix/store/".length + 32;

export function parseStorePath(text: string): StorePath | undefined {
  return STORE_PATH.test(text) ? (text as StorePath) : undefined;
}

/** `htop-3.2.2` of `/nix/store/<hash>-htop-3.2.2`. */
export function storePathName(path: StorePath): string {
  return path.slice(HASH_END + 1);
}

/** `<hash>-htop-3.2.2`: the path below `/nix/store/`, as storage keys use it. */
export function storePathBase(path: StorePath): string {
  return path.slice("/nix/store/".length);
}

/**
 * The name without version, as popularity data counts it: cut at the first dash that is followed by
 * a digit (the rule of `builtins.parseDrvName`), keeping an output suffix such as `-bin` off too.
 */
export function storePathPackage(path: StorePath): string {
  const name = storePathName(path);
  const version = name.search(/-[0-9]/);
  return version > 0 ? name.slice(0, version) : name;
}
