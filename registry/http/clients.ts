// The one table of clients: what each reads, how long it waits and which answers it asks again after.
// A client tells itself by how its User-Agent begins.

export interface Client {
  readonly client: string;
  /** How its User-Agent begins; the first group is the version. */
  readonly userAgent: RegExp;
  /** The row is of this version and later ones; those before it have another, further down. */
  readonly from?: string;
  /**
   * From which version on it reads zstd for all that it does: runs, saves, converts and passes on.
   * Null is never: what nobody knows to read zstd gets gzip, which everybody reads.
   */
  readonly zstdFrom: string | null;
  /** For how long it waits for the headers of an answer; null is as long as it takes. */
  readonly headersWaitSeconds: number | null;
  /** What it asks again after, and how often: at once, whatever `Retry-After` says. */
  readonly asksAgain: readonly AskedAgain[];
  /** The versions that were tried here, for what the row says. */
  readonly tried: string;
  /** What was seen of it or is known, in a line. */
  readonly seen: string;
}

export interface AskedAgain {
  readonly status: 408 | 429 | 503;
  readonly times: number;
}

const NOTHING: readonly AskedAgain[] = [];
/** containerd's resolver, since 1.3. */
const BUSY: readonly AskedAgain[] = [
  { status: 408, times: 5 },
  { status: 429, times: 5 },
];
/** The same since 2.1. */
const BUSY_OR_DOWN: readonly AskedAgain[] = [...BUSY, { status: 503, times: 1 }];

/** In five attempts, whatever the reason. */
const FIVE_ATTEMPTS: readonly AskedAgain[] = [
  { status: 408, times: 4 },
  { status: 429, times: 4 },
  { status: 503, times: 1 },
];

/** The first row that fits holds, so that those of later versions stand before the earlier ones. */
export const CLIENTS: readonly Client[] = [
  {
    client: "Docker engine",
    userAgent: /^docker\/v?(\S+)/i,
    from: "29",
    zstdFrom: "23",
    headersWaitSeconds: 30,
    asksAgain: BUSY_OR_DOWN,
    tried: "none",
    seen: "with containerd's store, which new installations have; the older one waits",
  },
  {
    client: "Docker engine",
    userAgent: /^docker\/v?(\S+)/i,
    zstdFrom: "23",
    headersWaitSeconds: null,
    asksAgain: NOTHING,
    tried: "20.10.24, 26.1.5, 28.5.2",
    seen: "before 23, of zstd: failed to register layer: archive/tar: invalid tar header",
  },
  {
    client: "BuildKit",
    userAgent: /^buildkit\/v?(\S+)/i,
    zstdFrom: "0.12",
    headersWaitSeconds: null,
    asksAgain: BUSY,
    tried: "0.0-dev in Docker 28.5.2",
    seen: "earlier ones call themselves containerd; Debian's says no version and gets gzip",
  },
  {
    client: "containerd",
    userAgent: /^containerd\/v?(\S+)/i,
    from: "2.3",
    zstdFrom: "1.5",
    headersWaitSeconds: 30,
    asksAgain: FIVE_ATTEMPTS,
    tried: "2.3.7",
    seen: "gives up with: timeout awaiting response headers; each try begins the request anew",
  },
  {
    client: "containerd",
    userAgent: /^containerd\/v?(\S+)/i,
    from: "2.1",
    zstdFrom: "1.5",
    headersWaitSeconds: 60,
    asksAgain: BUSY_OR_DOWN,
    tried: "2.1.9",
    seen: "for Kubernetes it may end a pull that has come no further for a minute",
  },
  {
    client: "containerd",
    userAgent: /^containerd\/v?(\S+)/i,
    from: "1.7",
    zstdFrom: "1.5",
    headersWaitSeconds: 60,
    asksAgain: BUSY,
    tried: "1.7.24",
    seen: "for Kubernetes it ends a pull that has come no further for a minute",
  },
  {
    // Of an unknown revision it is the code of one in another program: in a Docker engine before 23 it
    // pulls, and the engine's own code unpacks. Later ones are known by their version all the same, for
    // Debian's containerd 2.1.9 has no revision either.
    client: "containerd before 1.7 in another program",
    userAgent: /^containerd\/v?([^\s+]+)\+unknown/i,
    zstdFrom: null,
    headersWaitSeconds: null,
    asksAgain: BUSY,
    tried: "1.6.20",
    seen: "docker build of an engine before 23, which unpacks no zstd",
  },
  {
    client: "containerd",
    userAgent: /^containerd\/v?(\S+)/i,
    zstdFrom: "1.5",
    headersWaitSeconds: null,
    asksAgain: BUSY,
    tried: "1.6.20",
    seen: "of 429 it asks 6 times in a quarter of a second, then fails",
  },
  {
    // The library's version, which Podman names instead of its own: 4.3.1 is 5.23.1, 4.8 is 5.29,
    // 5.4 is 5.34.2, 5.8 is 5.39.2.
    client: "Podman",
    userAgent: /^containers\/v?(\S+)/i,
    zstdFrom: "5.29",
    headersWaitSeconds: null,
    asksAgain: NOTHING,
    tried: "5.23.1, 5.34.2, 5.39.2",
    seen: "before 5.29 it runs zstd, but neither saves it nor pushes it as Docker's types",
  },
  {
    // It only passes on, to whoever: from a registry straight to another or to an engine no version
    // makes Docker's types of zstd, and umoci 0.4.7 reads no zstd in the folder that it writes.
    client: "skopeo",
    userAgent: /^skopeo\/v?(\S+)/i,
    zstdFrom: null,
    headersWaitSeconds: null,
    asksAgain: NOTHING,
    tried: "1.9.3, 1.18.0, 1.22.0",
    seen: "to schema 2, of zstd: zstd compression is not supported for docker images",
  },
  {
    client: "Buildah",
    userAgent: /^buildah\/v?(\S+)/i,
    zstdFrom: "1.33",
    headersWaitSeconds: null,
    asksAgain: NOTHING,
    tried: "1.28.2, 1.39.3, 1.43.2",
    seen: "as Podman, whose library it has: 1.33 is 5.29",
  },
  {
    client: "CRI-O",
    userAgent: /^cri-o\/v?(\S+)/i,
    zstdFrom: "1.29",
    headersWaitSeconds: null,
    asksAgain: NOTHING,
    tried: "none",
    seen: "pulls into the storage that Podman has; 1.29 is 5.29",
  },
  {
    // kaniko, ko and others name the library, if anything.
    client: "crane, kaniko",
    userAgent: /^(?:crane|go-containerregistry)(?:\/v?(\S+))?/i,
    zstdFrom: null,
    headersWaitSeconds: null,
    asksAgain: NOTHING,
    tried: "0.20.7, 0.22.1",
    seen: "pulls zstd into archives as it is; crane validate takes every layer for gzip",
  },
];

/** A client of no row: anybody's own program, a cache that asks for others, or none at all. */
export const ANYTHING_ELSE: Client = {
  client: "anything else",
  userAgent: /^(?:)/,
  zstdFrom: null,
  headersWaitSeconds: null,
  asksAgain: NOTHING,
  tried: "docker-registry 2.8.2 as a cache, curl 7.88.1, python-requests 2.34.2",
  seen: "caches, scanners, Jib, umoci: few of them read zstd",
};

/** The row of a request's client. */
export function clientOf(headers: Headers): Client {
  const agent = headers.get("User-Agent") ?? "";
  const fits = ({ userAgent, from }: Client) => {
    const found = userAgent.exec(agent);
    return found !== null && (from === undefined || isFrom(found[1] ?? "", from));
  };
  return CLIENTS.find(fits) ?? ANYTHING_ELSE;
}

/** Whether a request's client reads zstd for all that it does. */
export function readsZstd(headers: Headers): boolean {
  const { userAgent, zstdFrom } = clientOf(headers);
  const version = userAgent.exec(headers.get("User-Agent") ?? "")?.[1];
  return zstdFrom !== null && version !== undefined && isFrom(version, zstdFrom);
}

/** Whether a version is a lowest one or later. One that begins with no number is earlier than all. */
function isFrom(version: string, lowest: string): boolean {
  const [parts, lowestParts] = [numbersOf(version), numbersOf(lowest)];
  if (parts.length === 0) return false;
  for (const [index, least] of lowestParts.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

/** `1.6.20~ds1` as 1, 6, 20. */
function numbersOf(version: string): readonly number[] {
  const [digits = ""] = /^\d{1,9}(?:\.\d{1,9}){0,3}/.exec(version) ?? [];
  return digits === "" ? [] : digits.split(".").map(Number);
}
