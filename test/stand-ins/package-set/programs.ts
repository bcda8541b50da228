// The packages that real pulls ask for, under their real names: what they need of each other, and
// about how large they are.

import type { PackageSpec } from "./package-spec.ts";

const MANUAL = ["out", "man"];
const LIBRARY = ["out", "dev"];
const SPLIT = ["bin", "dev", "out", "man"];

/** What the final environment is made of itself. */
const FOUNDATIONS: readonly PackageSpec[] = [
  made("libunistring 1.4.1", "lgpl3Plus", "Text in Unicode", {
    outputs: LIBRARY,
    isFoundation: true,
  }),
  made("libidn2 2.3.8", "lgpl3Plus", "Names of hosts", {
    needs: "libunistring",
    outputs: LIBRARY,
    isFoundation: true,
  }),
  made("xgcc-libgcc 14.3.0", "gpl3Plus", "The compiler's own library", { isFoundation: true }),
  made("glibc 2.40-66", "lgpl21Plus", "The C library", {
    needs: "libidn2 xgcc-libgcc",
    programs: "ldd",
    files: ["lib/ld-linux.so"],
    outputs: ["out", "bin", "dev"],
    sizeBytes: 900000,
    isFoundation: true,
  }),
  made("gcc 14.3.0", "gpl3Plus", "The compiler", {
    needs: "glibc zlib-bootstrap",
    programs: "gcc cc",
    outputs: ["out", "lib"],
    sizeBytes: 400000,
    isFoundation: true,
  }),
  made("zlib-bootstrap 1.3.1", "zlib", "Deflate, for the compiler", { isFoundation: true }),
];

const LIBRARIES: readonly PackageSpec[] = [
  made("acl 2.3.2", "gpl2Plus", "Access lists", {
    needs: "attr",
    programs: "getfacl",
    outputs: SPLIT,
  }),
  made("attr 2.5.2", "gpl2Plus", "Attributes of files", { programs: "getfattr", outputs: SPLIT }),
  made("brotli 1.1.0", "mit", "Compresses", { programs: "brotli", outputs: ["out", "dev", "lib"] }),
  made("bzip2 1.0.8", "bsd3", "Compresses", { programs: "bzip2", outputs: SPLIT }),
  made("expat 2.7.3", "mit", "Reads XML", { programs: "xmlwf", outputs: LIBRARY }),
  made("gdbm 1.26", "gpl3Plus", "A database of keys", { needs: "readline", programs: "gdbmtool" }),
  made("gmp 6.3.0", "lgpl3Plus", "Large numbers", {
    needs: "gcc",
    outputs: LIBRARY,
    sizeBytes: 60000,
  }),
  made("icu 76.1", "mit", "Unicode's data", {
    needs: "gcc",
    programs: "icuinfo",
    sizeBytes: 3000000,
  }),
  made("keyutils 1.6.3", "gpl2Plus", "The kernel's keys", {
    programs: "keyctl",
    outputs: ["out", "lib"],
  }),
  made("krb5 1.22.1", "mit", "Tickets", {
    needs: "keyutils",
    programs: "kinit",
    outputs: ["out", "dev", "lib"],
  }),
  made("libcap 2.77", "bsd3", "Capabilities", {
    programs: "getcap",
    outputs: ["out", "dev", "lib"],
  }),
  made("libffi 3.5.2", "mit", "Calls functions", { outputs: LIBRARY }),
  made("libnl 3.11.0", "lgpl21Plus", "Talks to the kernel", { outputs: LIBRARY }),
  made("libpsl 0.21.5", "mit", "Public suffixes", {
    needs: "libidn2 libunistring",
    programs: "psl",
  }),
  made("libssh2 1.11.1", "bsd3", "Speaks ssh", { needs: "openssl zlib", outputs: LIBRARY }),
  made("libuv 1.51.0", "mit", "Waits for many things", { outputs: LIBRARY }),
  made("libxcrypt 4.4.38", "lgpl21Plus", "Hashes passwords"),
  made("ncurses 6.5", "mit", "Draws on terminals", {
    programs: "tput clear",
    outputs: ["out", "dev", "man"],
  }),
  made("nghttp2 1.67.1", "mit", "HTTP/2", { outputs: ["out", "dev", "lib"] }),
  made("oniguruma 6.9.10", "bsd3", "Expressions", { outputs: ["out", "dev", "lib"] }),
  made("openssl_3 3.6.0", "asl20", "Ciphers and certificates", {
    pname: "openssl",
    programs: "openssl",
    outputs: SPLIT,
    sizeBytes: 1300000,
  }),
  made("pcre2 10.46", "bsd3", "Expressions", {
    programs: "pcre2grep",
    outputs: ["out", "dev", "bin"],
  }),
  made("readline 8.3", "gpl3Plus", "Edits lines", { needs: "ncurses", outputs: LIBRARY }),
  made("sqlite 3.50.4", "publicDomain", "SQL", {
    needs: "zlib readline ncurses",
    programs: "sqlite3",
    outputs: SPLIT,
  }),
  made("xz 5.8.1", "gpl2Plus", "Compresses", { programs: "xz", outputs: SPLIT }),
  made("zlib 1.3.1", "zlib", "Deflate", { outputs: LIBRARY }),
  made("zstd 1.5.7", "bsd3", "Compresses", {
    programs: "zstd",
    outputs: ["out", "bin", "dev", "man"],
  }),
];

const PROGRAMS: readonly PackageSpec[] = [
  made("cacert 3.117", "mpl20", "Certificates of authorities", {
    pname: "nss-cacert",
    files: ["etc/ssl/certs/ca-bundle.crt"],
    isFoundation: true,
  }),
  made("coreutils 9.8", "gpl3Plus", "Files and text", {
    needs: "acl attr gmp openssl",
    programs: "ls cat cp mkdir env",
  }),
  made("curlMinimal 8.17.0", "curl", "Fetches URLs", {
    pname: "curl",
    needs: "openssl zlib libidn2 nghttp2 libpsl libssh2 krb5 brotli zstd",
    programs: "curl",
    outputs: SPLIT,
    switches: { withHttp2: "false" },
  }),
  made("diffutils 3.12", "gpl3Plus", "Compares files", { programs: "diff cmp" }),
  made("fd 10.3.0", "asl20", "Finds files", { needs: "gcc", programs: "fd" }),
  made("file 5.45", "bsd3", "What a file is", { needs: "zlib", programs: "file" }),
  made("findutils 4.10.0", "gpl3Plus", "Finds files", { programs: "find xargs" }),
  made("gawk 5.3.2", "gpl3Plus", "Lines and fields", { programs: "gawk awk", outputs: MANUAL }),
  made("git 2.51.2", "gpl2Only", "Versions of files", {
    needs: "curl zlib openssl pcre2 expat perl python3 bash",
    builtWith: ["gettext"],
    programs: "git",
    sizeBytes: 2200000,
  }),
  made("gettext 0.25.1", "gpl3Plus", "Translations", { programs: "msgfmt" }),
  made("gnugrep 3.12", "gpl3Plus", "Finds lines", { needs: "pcre2", programs: "grep" }),
  made("gnumake 4.4.1", "gpl3Plus", "Makes what is older", { programs: "make", outputs: MANUAL }),
  made("gnused 4.9", "gpl3Plus", "Edits streams", { programs: "sed" }),
  made("gnutar 1.35", "gpl3Plus", "Archives", { needs: "acl", programs: "tar" }),
  made("gzip 1.14", "gpl3Plus", "Compresses", { needs: "bash", programs: "gzip", outputs: MANUAL }),
  made("hello 2.12.2", "gpl3Plus", "Greets", { programs: "hello", sizeBytes: 40000 }),
  made("htop 3.4.1", "gpl2Only", "Shows processes", {
    needs: "ncurses libcap libnl",
    programs: "htop",
    sizeBytes: 90000,
  }),
  made("iana-etc 20251030", "mit", "Names of services and protocols", {
    files: ["etc/services", "etc/protocols"],
    isFoundation: true,
  }),
  made("iproute2 6.17.0", "gpl2Only", "Routes and links", {
    needs: "libcap",
    programs: "ip ss",
    outputs: LIBRARY,
  }),
  made("jq 1.8.1", "mit", "Reads JSON", { needs: "oniguruma", programs: "jq", outputs: SPLIT }),
  made("less 685", "gpl3Plus", "Pages", { needs: "ncurses pcre2", programs: "less" }),
  made("moreutils 0.70", "gpl2Plus", "More of the same", { needs: "perl", programs: "sponge ts" }),
  made("nano 8.7", "gpl3Plus", "Edits text", { needs: "ncurses file", programs: "nano" }),
  made("nodejs_24 24.11.1", "mit", "Runs JavaScript", {
    pname: "nodejs",
    needs: "openssl_3 icu libuv zlib sqlite gcc",
    programs: "node npm",
    outputs: LIBRARY,
    sizeBytes: 5000000,
  }),
  made("perl540 5.40.0", "gpl2Plus", "A language", {
    pname: "perl",
    needs: "libxcrypt gdbm coreutils",
    programs: "perl",
    outputs: MANUAL,
    sizeBytes: 1700000,
  }),
  made("procps 4.0.4", "gpl2Plus", "Processes", { needs: "ncurses", programs: "ps top" }),
  made("ripgrep 15.1.0", "mit", "Finds lines", { needs: "pcre2 gcc", programs: "rg" }),
  made("rsync 3.4.1", "gpl3Plus", "Copies what differs", {
    needs: "acl zlib zstd openssl",
    programs: "rsync",
  }),
  made("strace 6.17", "lgpl21Plus", "Shows calls", { programs: "strace" }),
  made("tmux 3.5a", "bsd3", "Several terminals", {
    needs: "ncurses",
    programs: "tmux",
    outputs: MANUAL,
  }),
  made("tree 2.2.1", "gpl2Plus", "Draws folders", { programs: "tree" }),
  made("vim 9.1.1869", "gpl2Plus", "Edits text", {
    needs: "ncurses bash gawk",
    programs: "vim",
    sizeBytes: 800000,
  }),
  made("wget 1.25.0", "gpl3Plus", "Fetches URLs", {
    needs: "openssl zlib libpsl pcre2 perl",
    programs: "wget",
  }),
  made("which 2.23", "gpl3Plus", "Where a program is", { programs: "which" }),
];

export const NAMED_PACKAGES: readonly PackageSpec[] = [...FOUNDATIONS, ...LIBRARIES, ...PROGRAMS];

type More = Partial<Omit<PackageSpec, "needs" | "programs">> & {
  readonly needs?: string;
  readonly programs?: string;
};

function made(
  nameAndVersion: string,
  license: string,
  description: string,
  more: More = {},
): PackageSpec {
  const [name = "", version = ""] = nameAndVersion.split(" ");
  const { needs = "", programs = "", ...others } = more;
  return {
    ...{ name, version, license, description, needs: words(needs), programs: words(programs) },
    ...others,
  };
}

function words(text: string): readonly string[] {
  return text.split(" ").filter((word) => word !== "");
}
