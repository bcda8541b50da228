// The lock: what default.nix reads, and the questions asked of its graph.

export interface LockedDeb {
  readonly package: string;
  readonly version: string;
  readonly file: string;
  readonly url: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly homepage?: string;
  readonly dependencies: readonly string[];
  readonly shell: boolean;
  readonly interpreter?: string;
  readonly merged?: readonly string[];
  readonly debs: readonly LockedDeb[];
}

export interface LockedAttribute {
  readonly package: string;
  readonly mainProgram?: string;
  readonly license?: string;
  // Attributes of the package that lead to another: the libraries of a program.
  readonly outputs?: Readonly<Record<string, LockedAttribute>>;
}

export interface AttributeSet {
  readonly [name: string]: LockedAttribute | AttributeSet;
}

export interface Lock {
  readonly formatVersion: 1;
  readonly architecture: string;
  readonly multiarch: string;
  readonly loader: string;
  readonly shell: string;
  readonly busybox: LockedDeb;
  readonly tools: readonly LockedDeb[];
  readonly attributes: AttributeSet;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export function lockFileName(system: string): string {
  return `lock.${system}.json`;
}

// The program that the first build runs in. It goes by the name of its file, and a file that is a
// store path by itself has another.
export function busyboxFileName(system: string): string {
  return `busybox/${system}/busybox`;
}

// Everything `name` reaches, itself included, sorted.
export function closureOf(
  packages: Readonly<Record<string, Pick<LockedPackage, "dependencies">>>,
  name: string,
): readonly string[] {
  const seen = new Set<string>([name]);
  // A set yields what is added to it while it is being walked.
  for (const reached of seen) {
    for (const dependency of packages[reached]?.dependencies ?? []) seen.add(dependency);
  }
  return [...seen].sort();
}

export function leaves(
  attributes: AttributeSet,
  prefix = "",
): readonly (readonly [path: string, leaf: LockedAttribute])[] {
  return Object.entries(attributes).flatMap(([name, value]) =>
    isLeaf(value) ? [[prefix + name, value] as const] : leaves(value, `${prefix}${name}.`),
  );
}

function isLeaf(value: LockedAttribute | AttributeSet): value is LockedAttribute {
  return typeof value.package === "string";
}

// In how many of the root packages' closures each store name occurs, but for roots of which few images
// have another beside them. Names are without versions, cut as `builtins.parseDrvName` cuts them, so that
// the data outlives an update; where two packages share such a name (libpcre2-8-0 and libpcre2-16-0), the
// more popular one counts.
export function popularityOf(
  lock: Lock,
  uncounted: readonly RegExp[],
): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  const counted = leaves(lock.attributes).filter(
    ([attribute]) => !uncounted.some((pattern) => pattern.test(attribute)),
  );
  const roots = new Set(counted.map(([, leaf]) => leaf.package));
  for (const root of roots) {
    for (const name of closureOf(lock.packages, root)) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  const byStoreName: Record<string, number> = {};
  for (const [name, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const storeName = nameWithoutVersion(lock.packages[name]?.name ?? name);
    byStoreName[storeName] = Math.max(byStoreName[storeName] ?? 0, count);
  }
  return byStoreName;
}

// The version starts at the first dash that no letter follows.
export function nameWithoutVersion(storeName: string): string {
  return storeName.replace(/-[^A-Za-z].*$/s, "");
}
