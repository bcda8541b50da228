// What the set offers and where Debian's packaging has to be bent to fit: edit this file to add a
// package. Everything else follows from apt's index.

export type RootRow = readonly [
  attribute: string,
  debianPackage: string,
  mainProgram: string | undefined,
  license?: string,
  architectures?: readonly string[],
];

// nixpkgs' attribute path, which can be that of an output (`curl.out` are the libraries), Debian's binary
// package, the program to run by default, the licence as an SPDX expression where it is known, since
// Debian's index does not say, and the architectures of a package that is not for all of them.
export const ROOTS: readonly RootRow[] = [
  ["bashInteractive", "bash", "bash", "GPL-3.0-or-later"],
  ["bash", "bash", "bash", "GPL-3.0-or-later"],
  ["coreutils", "coreutils", undefined, "GPL-3.0-or-later"],
  ["moreutils", "moreutils", undefined, "GPL-2.0-or-later"],
  ["nano", "nano", "nano", "GPL-3.0-or-later"],
  ["git", "git", "git", "GPL-2.0-only"],
  ["htop", "htop", "htop", "GPL-2.0-or-later"],
  ["curl", "curl", "curl", "curl"],
  ["curl.out", "libcurl4", undefined, "curl"],
  ["wget", "wget", "wget", "GPL-3.0-or-later"],
  ["jq", "jq", "jq", "MIT"],
  ["jq.out", "libjq1", undefined, "MIT"],
  ["python3", "python3", "python3", "Python-2.0"],
  ["perl", "perl", "perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"],
  ["openssl", "openssl", "openssl", "Apache-2.0"],
  ["openssl.out", "libssl3", undefined, "Apache-2.0"],
  ["openssh", "openssh-client", "ssh"],
  ["gnugrep", "grep", "grep", "GPL-3.0-or-later"],
  ["gnused", "sed", "sed", "GPL-3.0-or-later"],
  ["gawk", "gawk", "gawk", "GPL-3.0-or-later"],
  ["findutils", "findutils", "find", "GPL-3.0-or-later"],
  ["diffutils", "diffutils", "diff", "GPL-3.0-or-later"],
  ["gnutar", "tar", "tar", "GPL-3.0-or-later"],
  ["gnupatch", "patch", "patch", "GPL-3.0-or-later"],
  ["gnumake", "make", "make", "GPL-3.0-or-later"],
  ["gzip", "gzip", "gzip", "GPL-3.0-or-later"],
  ["bzip2", "bzip2", "bzip2", "bzip2-1.0.6"],
  ["bzip2.out", "libbz2-1.0", undefined, "bzip2-1.0.6"],
  ["zstd", "zstd", "zstd", "BSD-3-Clause"],
  ["zstd.out", "libzstd1", undefined, "BSD-3-Clause"],
  ["lz4", "lz4", "lz4"],
  ["lz4.lib", "liblz4-1", undefined, "BSD-2-Clause"],
  ["xz", "xz-utils", "xz"],
  ["xz.out", "liblzma5", undefined, "0BSD"],
  ["zip", "zip", "zip", "Info-ZIP"],
  ["unzip", "unzip", "unzip", "Info-ZIP"],
  ["_7zz", "7zip", "7zz"],
  ["less", "less", "less"],
  ["which", "gnu-which", "which", "GPL-3.0-or-later"],
  ["vim", "vim", "vim", "Vim"],
  ["tree", "tree", "tree", "GPL-2.0-or-later"],
  ["file", "file", "file", "BSD-2-Clause"],
  ["procps", "procps", "ps"],
  ["psmisc", "psmisc", "killall", "GPL-2.0-or-later"],
  ["lsof", "lsof", "lsof"],
  ["iproute2", "iproute2", "ip", "GPL-2.0-only"],
  ["iputils", "iputils-ping", "ping"],
  ["netcat", "netcat-openbsd", "nc"],
  ["socat", "socat", "socat", "GPL-2.0-only"],
  ["tcpdump", "tcpdump", "tcpdump", "BSD-3-Clause"],
  ["strace", "strace", "strace", "LGPL-2.1-or-later"],
  ["rsync", "rsync", "rsync", "GPL-3.0-or-later"],
  ["sqlite", "sqlite3", "sqlite3", "blessing"],
  ["sqlite.out", "libsqlite3-0", undefined, "blessing"],
  ["redis", "redis-server", "redis-cli", "BSD-3-Clause"],
  ["tmux", "tmux", "tmux", "ISC"],
  ["ripgrep", "ripgrep", "rg", "Unlicense OR MIT"],
  ["hello", "hello", "hello", "GPL-3.0-or-later"],
  ["busybox", "busybox-static", "busybox", "GPL-2.0-only"],
  ["shellcheck", "shellcheck", "shellcheck", "GPL-3.0-or-later"],
  ["msr-tools", "msr-tools", "rdmsr", "GPL-2.0-only", ["amd64"]],
  ["cacert", "ca-certificates", undefined, "MPL-2.0"],
  ["iana-etc", "netbase", undefined],
  ["glibcLocales", "libc-bin", undefined, "LGPL-2.1-or-later"],
  ["tzdata", "tzdata", undefined],
  ["glibc", "libc6", undefined, "LGPL-2.1-or-later"],
  ["nix-ld", "nix-ld", undefined, "LGPL-2.1-or-later"],
  ["stdenv.cc.cc.lib", "libstdc++6", undefined, "GPL-3.0-or-later WITH GCC-exception-3.1"],
  ["zlib", "zlib1g", undefined, "Zlib"],
  ["nix", "nix-bin", "nix", "LGPL-2.1-or-later"],
  ["haskellPackages.shellcheck", "shellcheck", "shellcheck", "GPL-3.0-or-later"],
  ["perlPackages.JSONXS", "libjson-xs-perl", undefined],
  ["perlPackages.URI", "liburi-perl", undefined],
  ["python3Packages.PyYAML", "python3-yaml", undefined, "MIT"],
  ["python3Packages.markupsafe", "python3-markupsafe", undefined, "BSD-3-Clause"],
  ["python3Packages.requests", "python3-requests", undefined, "Apache-2.0"],
  ["python3Packages.six", "python3-six", undefined, "MIT"],
  ["xorg.xauth", "xauth", "xauth"],
  ["xorg.libX11", "libx11-6", undefined],
];

export interface Group {
  readonly name: string;
  // Debian packages that become one store path. The version is that of the first pattern's package.
  readonly members: readonly RegExp[];
  readonly withoutVersion?: true;
}

// One store path out of several Debian packages, because they depend on one another in a circle or
// must lie in one tree; and packages whose store name is another than Debian's.
export const GROUPS: readonly Group[] = [
  { name: "glibc", members: [/^libc6$/, /^libgcc-s1$/, /^libcrypt1$/] },
  { name: "perl", members: [/^perl$/, /^perl-base$/, /^perl-modules-5\..*$/, /^libperl5\..*$/] },
  {
    // Python finds its prefix by walking up from its own file: one tree, or none of it works.
    name: "python3",
    members: [
      /^python3\.\d+$/,
      /^python3(\.\d+)?-minimal$/,
      /^libpython3(\.\d+)?-(minimal|stdlib)$/,
      /^python3$/,
      // `python3 -m venv`, and the pip that it puts there.
      /^python3(\.\d+)?-(venv|distutils|lib2to3)$/,
      /^python3-(pip|setuptools)-whl$/,
    ],
  },
  { name: "git", members: [/^git$/, /^git-man$/, /^liberror-perl$/] },
  { name: "vim", members: [/^vim$/, /^vim-common$/, /^vim-runtime$/] },
  { name: "redis", members: [/^redis-server$/, /^redis-tools$/] },
  // Three characters: see fixups/libtinfo6.sh.
  { name: "tty", members: [/^ncurses-base$/], withoutVersion: true },
  { name: "bash", members: [/^bash$/] },
  { name: "busybox", members: [/^busybox-static$/] },
  { name: "glibc-locales", members: [/^libc-bin$/] },
  { name: "gnugrep", members: [/^grep$/] },
  { name: "gnumake", members: [/^make$/] },
  { name: "gnupatch", members: [/^patch$/] },
  { name: "gnused", members: [/^sed$/] },
  { name: "gnutar", members: [/^tar$/] },
  { name: "iana-etc", members: [/^netbase$/] },
  { name: "iputils", members: [/^iputils-ping$/] },
  // Trixie's has another name.
  { name: "libssl3", members: [/^libssl3(t64)?$/] },
  { name: "netcat", members: [/^netcat-openbsd$/] },
  // Image code of nixpkgs' users looks for this name.
  { name: "nss-cacert", members: [/^ca-certificates$/] },
  { name: "nix", members: [/^nix-bin$/] },
  { name: "openssh", members: [/^openssh-client$/] },
  { name: "sqlite", members: [/^sqlite3$/] },
  { name: "which", members: [/^gnu-which$/] },
  { name: "xz", members: [/^xz-utils$/] },
];

export interface Copy {
  readonly of: string;
  readonly description: string;
}

// Packages of our own, made of a .deb that another store path is made of as well, without its
// dependencies: what their fix-up leaves of it needs none.
export const COPIES: Readonly<Record<string, Copy>> = {
  "nix-ld": { of: "libc6", description: "loader for programs that Nix did not build" },
};

export interface ModuleFamily {
  readonly interpreter: string; // its group
  readonly members: RegExp; // Debian packages, and what of their name is the module's
  readonly prefix: string;
  readonly version: RegExp; // what of the interpreter's version is in a module's name
}

// Modules have the version of their interpreter in their store name, as nixpkgs writes it, and lie in
// the folder that it looks into.
export const MODULE_FAMILIES: readonly ModuleFamily[] = [
  { interpreter: "perl", members: /^lib(.+)-perl$/, prefix: "perl", version: /^\d+\.\d+\.\d+/ },
  { interpreter: "python3", members: /^python3-(.+)$/, prefix: "python", version: /^\d+\.\d+/ },
];

// What nobody runs in an image: needed by maintainer scripts, or documentation only.
export const SKIPPED: readonly RegExp[] = [
  /^(dpkg|debconf|debconf-2\.0|cdebconf|ucf|install-info|debianutils|sensible-utils)$/,
  /^(base-files|base-passwd|adduser|passwd|init-system-helpers|lsb-base|sysvinit-utils)$/,
  /^(systemd|dbus|udev|cron|logrotate|libpam-.*|mount|login|sysuser-helper)$/,
  /^(default-)?systemd-sysusers$|^systemd-standalone-sysusers$|^opensysusers$/,
  /^(media-types|mime-support|readline-common|libx11-data|gcc-\d+-base|libcap2-bin)$/,
];

// Dependencies that Debian takes for granted because the package is on every system, or that a
// fix-up brings in.
export const EXTRA_DEPENDENCIES: Readonly<Record<string, readonly string[]>> = {
  libtinfo6: ["ncurses-base"],
  // Scripts among git's commands call these by name.
  git: ["bash", "coreutils", "grep", "sed"],
  perl: ["bash"],
  python3: ["python3-venv"],
  vim: ["bash"],
  file: ["bash"],
  openssl: ["bash"],
};

// Dependencies of a package that its fix-up makes superfluous.
export const DROPPED_DEPENDENCIES: Readonly<Record<string, readonly string[]>> = {
  // Of times when its commands were scripts.
  "nix-bin": ["bzip2", "curl", "libdbd-sqlite3-perl", "libwww-curl-perl", "perl", "xz-utils"],
  "ca-certificates": ["openssl"],
  "python3-pip-whl": ["ca-certificates"],
};

// Packages whose content needs no shell, so that not even a script may bring one in.
export const WITHOUT_SHELL: readonly string[] = [
  "busybox",
  "glibc-locales",
  "iana-etc",
  "nix-ld",
  "nss-cacert",
  "tty",
  "tzdata",
];

// What the packages are built with, and nothing of the machine's own; and what these are made with.
export const BUSYBOX = "busybox-static";
export const TOOLS: readonly string[] = [
  "bash",
  "coreutils",
  "dpkg",
  "findutils",
  "grep",
  "libc-bin",
  "perl-base",
  "sed",
  "tar",
];

// The group every script's `#!` line leads to.
export const SHELL = "bash";

// Roots that say nothing of what images share: modules come with their interpreter, and need what it needs;
// Nix is hardly ever named beside other tools.
export const UNCOUNTED: readonly RegExp[] = [/\./, /^nix$/];

export interface Tables {
  readonly roots: readonly RootRow[];
  readonly groups: readonly Group[];
  readonly copies: Readonly<Record<string, Copy>>;
  readonly moduleFamilies: readonly ModuleFamily[];
  readonly skipped: readonly RegExp[];
  readonly extraDependencies: Readonly<Record<string, readonly string[]>>;
  readonly droppedDependencies: Readonly<Record<string, readonly string[]>>;
  readonly withoutShell: readonly string[];
  readonly shell: string;
}

export const TABLES: Tables = {
  roots: ROOTS,
  groups: GROUPS,
  copies: COPIES,
  moduleFamilies: MODULE_FAMILIES,
  skipped: SKIPPED,
  extraDependencies: EXTRA_DEPENDENCIES,
  droppedDependencies: DROPPED_DEPENDENCIES,
  withoutShell: WITHOUT_SHELL,
  shell: SHELL,
};

// The tools are one store path, which no image gets to see.
export const TOOL_TABLES: Tables = {
  ...TABLES,
  roots: [BUSYBOX, ...TOOLS].map((name) => [name, name, undefined]),
  groups: [],
  copies: {},
  moduleFamilies: [],
  extraDependencies: {},
  droppedDependencies: {},
};
