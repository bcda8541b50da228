// Which form of an image a client gets: the one table of what clients can read.

import { OCI_INDEX, OCI_MANIFEST } from "../image/media-type.ts";
import { VARIANT_TYPES, VARIANTS, type Variant } from "../image/variant.ts";
import { accepts, parseAccept } from "./accept.ts";

interface Client {
  readonly client: string;
  /** The versions whose pulls were seen to end well in the form that the row gives them. */
  readonly tried: string;
  readonly userAgent: RegExp;
  readonly readsZstd: boolean;
}

/**
 * Which clients can read what, by how they begin their User-Agent; the first row that fits holds.
 * A client of no row gets zstd. Two cannot be told from others: umoci 0.4.7 reads none ("blob is not
 * correct mediatype"), but unpacks what skopeo has pulled; kaniko, which nobody has tried, names
 * itself only when it pushes.
 */
export const CLIENTS: readonly Client[] = [
  {
    // "failed to register layer: … archive/tar: invalid tar header"
    client: "Docker engine before 23",
    tried: "20.10.24",
    userAgent: /^docker\/(?:1?[0-9]|2[0-2])\./i,
    readsZstd: false,
  },
  {
    client: "Docker engine",
    tried: "28.5",
    userAgent: /^docker\//i,
    readsZstd: true,
  },
  {
    // `docker build` pulls with containerd's code and unpacks with the engine's own. A containerd
    // that was built as one never has an unknown revision in its version.
    client: "BuildKit inside a Docker engine before 23",
    tried: "20.10.24",
    userAgent: /^containerd\/1\.[0-6]\.[0-9]+\+unknown/i,
    readsZstd: false,
  },
  {
    client: "containerd",
    tried: "1.6.20, 2.1.9",
    userAgent: /^containerd\//i,
    readsZstd: true,
  },
  {
    // The library's version, which Podman 4.3.1 and 5.8 name instead of their own.
    client: "Podman",
    tried: "4.3.1, 5.8",
    userAgent: /^containers\//i,
    readsZstd: true,
  },
  {
    client: "skopeo",
    tried: "1.9.3",
    userAgent: /^skopeo\//i,
    readsZstd: true,
  },
  {
    // Pulls and exports; `crane validate` alone takes every layer for gzip ("gzip: invalid header").
    client: "crane",
    tried: "0.20",
    userAgent: /^crane\//i,
    readsZstd: true,
  },
];

/**
 * The variant for a request's headers. The edge names the variant it wants of the origin in
 * `Nixport-Variant`, since it passes no header of its client on.
 */
export function chooseVariant(headers: Headers): Variant {
  const told = VARIANTS.find((variant) => variant === headers.get(VARIANT_HEADER));
  if (told !== undefined) return told;
  // Who takes OCI's index takes what it names, said or not.
  const named = parseAccept(headers.get("Accept"));
  if (!accepts(named, OCI_MANIFEST) && !accepts(named, OCI_INDEX)) return "docker-gzip";
  const agent = headers.get("User-Agent") ?? "";
  const known = CLIENTS.find(({ userAgent }) => userAgent.test(agent));
  return known?.readsZstd === false ? "oci-gzip" : "oci-zstd";
}

/** Whether a client of a variant takes several platforms' manifests in one index. */
export function takesIndex(headers: Headers, variant: Variant): boolean {
  return accepts(parseAccept(headers.get("Accept")), VARIANT_TYPES[variant].index);
}

export const VARIANT_HEADER = "Nixport-Variant";
