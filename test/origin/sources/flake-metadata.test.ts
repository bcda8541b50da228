// What `nix flake metadata --json` writes, by versions of Nix. Left out are `locks`, `original` and
// `resolved`, which nothing reads.

import { describe, expect, test } from "vitest";
import { parseFlakeMetadata } from "../../../origin/sources/flake-metadata.ts";

const REV = "d181d714fd36eb06f4992a1997cd5601e26db8f5";
const HASH = "sha256-IjFBbAAu9cCMmlpnVX1Vv73aACKrZ0ZTt9JFQRdNLvQ=";
const PIN = "path-2231416c002ef5c08c9a5a67557d55bfbdda0022ab674653b7d24541174d2ef4";

describe("parseFlakeMetadata", () => {
  const rows: readonly (readonly [string, unknown, string, string])[] = [
    [
      "2.8, of a path",
      {
        lastModified: 1_795_264_062,
        locked: { lastModified: 1_795_264_062, narHash: HASH, path: "/srv/pkgs", type: "path" },
        originalUrl: "path:/srv/pkgs",
        path: "/nix/store/rp3dw0wicndgs9pyf0b6484zm19m26pa-source",
        resolvedUrl: "path:/srv/pkgs",
        url: `path:/srv/pkgs?lastModified=1795264062&narHash=${HASH}`,
      },
      `path:/srv/pkgs?lastModified=1795264062&narHash=${HASH}`,
      PIN,
    ],
    [
      "2.8, of a git repository",
      {
        lastModified: 1_795_264_062,
        locked: {
          ...{ lastModified: 1_795_264_062, narHash: HASH, ref: "main", rev: REV, revCount: 1 },
          ...{ type: "git", url: "file:///tmp/fl" },
        },
        revCount: 1,
        revision: REV,
        url: `git+file:///tmp/fl?ref=main&rev=${REV}`,
      },
      `git+file:///tmp/fl?ref=main&rev=${REV}`,
      REV,
    ],
    [
      "2.24, of an archive without a revision",
      {
        fingerprint: "4958c1191c84047846402de4b80d7443470fd2e96ef65306ce100fb91e024e6a",
        lastModified: 1,
        locked: {
          lastModified: 1,
          narHash: HASH,
          type: "tarball",
          url: "https://h.example/f.tar.gz",
        },
        url: `https://h.example/f.tar.gz?lastModified=1&narHash=${encodeURIComponent(HASH)}`,
      },
      `https://h.example/f.tar.gz?lastModified=1&narHash=${encodeURIComponent(HASH)}`,
      PIN,
    ],
    [
      "2.28, with a revision and without a hash",
      {
        locked: {
          ...{ __final: true, lastModified: 1, rev: REV },
          ...{ type: "tarball", url: "https://h.example/f.tar.gz" },
        },
        revision: REV,
        url: `https://h.example/f.tar.gz?lastModified=1&rev=${REV}`,
      },
      `https://h.example/f.tar.gz?lastModified=1&rev=${REV}`,
      REV,
    ],
    [
      "2.28, whose URL of a final archive leaves the hash to the attributes",
      {
        locked: {
          __final: true,
          narHash: HASH,
          type: "tarball",
          url: "https://h.example/f.tar.gz",
        },
        url: "https://h.example/f.tar.gz",
      },
      `https://h.example/f.tar.gz?narHash=${encodeURIComponent(HASH)}`,
      PIN,
    ],
    [
      "the newest, with another kind of hash",
      {
        locked: { __final: true, lastModified: 1, path: "/srv/pkgs", treeHash: HASH, type: "path" },
        lockedUrl: `path:/srv/pkgs?treeHash=${encodeURIComponent(HASH)}`,
      },
      `path:/srv/pkgs?treeHash=${encodeURIComponent(HASH)}`,
      PIN,
    ],
  ];
  test.for(rows)("reads that of %s", ([, json, url, pin]) => {
    expect(parseFlakeMetadata(json)).toStrictEqual({ url, pin });
  });

  test.for([
    ["nothing locked", { url: "path:/x", locked: { type: "path", path: "/x" } }],
    [
      "changes that no commit holds",
      {
        dirtyRevision: `${REV}-dirty`,
        locked: { dirtyRev: `${REV}-dirty`, type: "git", url: "file:///x" },
        url: "git+file:///x",
      },
    ],
    ["no object", "x"],
    ["nothing", {}],
  ] as const)("takes no pin from %s", ([, json]) => {
    expect(parseFlakeMetadata(json)).toBeUndefined();
  });
});
