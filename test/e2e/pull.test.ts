// Real clients pull images of real packages through the edge, from nothing.

import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST } from "../../registry/image/media-type.ts";
import { digestHex, digestOf } from "../../registry/naming/digest.ts";
import { skipWhere } from "../skip-where.ts";
import {
  get,
  missingClient,
  podmanReset,
  podmanRun,
  pullManifest,
  runClient,
  skopeoCopy,
} from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

let deployment: Deployment;
let origin: Part;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-clients-"));
  deployment = await deploy();
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
});

afterAll(async () => {
  await deployment?.close();
  if (missingClient("podman") === false) podmanReset(scratch);
  await rm(scratch, { recursive: true, force: true });
});

describe("npm run smoke", () => {
  test("finds nothing wrong with an edge, for an image that it has yet to have made", async () => {
    const command = join(import.meta.dirname, "../../origin/command/smoke.ts");
    const args = ["--json", "--cold", "tree", "--image", "shell/git", deployment.edgeUrl];
    const { stdout } = await promisify(execFile)(process.execPath, [command, ...args]);
    const { checks } = JSON.parse(stdout) as { checks: { outcome: string }[] };
    expect(checks.filter(({ outcome }) => outcome !== "ok")).toStrictEqual([]);
  });
});

describe("skopeo copy", skipWhere(missingClient("skopeo")), () => {
  test("copies an image that nobody has pulled before", () => {
    const { code, stderr } = skopeoCopy(
      deployment.edgeUrl,
      "shell/git/htop:latest",
      `oci:${scratch}/out`,
    );
    expect(code, stderr).toBe(0);
  });

  test("inspects an image, with the tags it has", () => {
    const reference = `docker://${new URL(deployment.edgeUrl).host}/shell/htop/git`;
    const { code, stdout, stderr } = runClient("skopeo", [
      ...["inspect", "--tls-verify=false", reference],
    ]);
    expect(code, stderr).toBe(0);
    const { Architecture, RepoTags } = JSON.parse(stdout) as Record<string, unknown>;
    expect([Architecture, RepoTags]).toStrictEqual(["amd64", ["latest"]]);
  });

  test("copies a package by the escaped name of its attribute, to the digest of the plain one", () => {
    const { code, stderr } = skopeoCopy(
      deployment.edgeUrl,
      "0--5f7zz:latest",
      `oci:${scratch}/escaped`,
    );
    expect(code, stderr).toBe(0);
    const [plain, escaped] = ["7zz", "0--5f7zz"].map((name) => {
      const reference = `docker://${new URL(deployment.edgeUrl).host}/${name}`;
      const format = ["--format", "{{.Digest}}"];
      return runClient("skopeo", ["inspect", "--tls-verify=false", ...format, reference]).stdout;
    });
    expect(escaped).toMatch(/^sha256:/);
    expect(escaped).toBe(plain);
  });

  test("shows which package is missing", () => {
    const { code, stderr } = skopeoCopy(deployment.edgeUrl, "gitt/htop", `oci:${scratch}/missing`);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/no package gitt/);
    expect(stderr).toMatch(/did you mean git\b/);
  });

  test("is told that nothing can be pushed here", async () => {
    const { host } = new URL(deployment.edgeUrl);
    const target = ["--dest-tls-verify=false", `docker://${host}/mine`];
    const { code, stderr } = runClient("skopeo", ["copy", await imageOfOnesOwn(), ...target]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/pull-only/);
  });

  /** Of bytes that no registry has, so that a client looks for them and then uploads. */
  async function imageOfOnesOwn(): Promise<string> {
    const folder = await mkdtemp(join(scratch, "own-"));
    const descriptor = async (mediaType: string, text: string) => {
      const bytes = new TextEncoder().encode(text);
      const digest = await digestOf(bytes);
      await writeFile(join(folder, digestHex(digest)), bytes);
      return { mediaType, digest, size: bytes.length };
    };
    const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } };
    const manifest = {
      ...{ schemaVersion: 2, mediaType: OCI_MANIFEST },
      config: await descriptor(OCI_CONFIG, JSON.stringify(config)),
      layers: [await descriptor(OCI_LAYER_GZIP, "no layer of anybody's")],
    };
    await writeFile(join(folder, "version"), "Directory Transport Version: 1.1\n");
    await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
    return `dir:${folder}`;
  }
});

describe("podman run", skipWhere(missingClient("podman")), () => {
  const run = (image: string, ...command: string[]) =>
    podmanRun(scratch, deployment.edgeUrl, image, command);
  const succeeds = (image: string, ...command: string[]) => {
    const { code, stdout, stderr } = run(image, ...command);
    expect(code, stderr).toBe(0);
    return stdout;
  };

  test("runs git of shell/git/htop", () => {
    expect(succeeds("shell/git/htop", "git", "--version")).toMatch(/^git version 2\./);
  });

  test("runs a bash one-liner with coreutils", () => {
    const script = 'for i in 3 1 2; do echo "$i"; done | sort | tr "\\n" " "';
    expect(succeeds("shell/git/htop", "bash", "-c", script)).toBe("1 2 3 ");
  });

  test("starts the shell without a command", () => {
    expect(run("shell/git/htop").code).toBe(0);
  });

  test("finds a decent Unix: writable /tmp, root's home, users, env and sh", () => {
    const script = [
      "stat -c '%a' /tmp /var/tmp /root",
      'echo "$HOME" "$SSL_CERT_FILE"',
      "test -s $SSL_CERT_FILE && /usr/bin/env sh -c 'echo sh'",
      "while IFS=: read -r user _; do echo $user; done < /etc/passwd",
      "touch /tmp/file && ls -A /tmp",
    ].join("; ");
    expect(succeeds("shell/git/htop", "bash", "-c", script).trim().split("\n")).toStrictEqual([
      ...["1777", "1777", "700", "/root /etc/ssl/certs/ca-bundle.crt", "sh", "root", "nobody"],
      ...["nonroot", "file"],
    ]);
  });

  test("clones a repository in an image that names git and no shell", () => {
    const script =
      "cd /tmp && git init -q a && git -C a -c user.name=a -c user.email=a@b commit -q --allow-empty -m first && git clone -q a b && git -C b log --format=%s";
    expect(succeeds("git/htop", "/bin/sh", "-c", script)).toBe("first\n");
  });

  test("runs python with ssl and sqlite3, perl, curl and a terminal program", () => {
    const image = "curl/htop/jq/perl/python3";
    const python =
      "import ssl, sqlite3, ctypes, lzma; print(sqlite3.connect(':memory:').execute('select 40+2').fetchone()[0])";
    expect(succeeds(image, "python3", "-c", python)).toBe("42\n");
    const perl =
      "use strict; use POSIX qw(floor); use List::Util qw(sum); print floor(sum(1, 2.5))";
    expect(succeeds(image, "perl", "-e", perl)).toBe("3");
    expect(succeeds(image, "curl", "--version")).toMatch(/^curl 7|^curl 8/);
    expect(succeeds(image, "htop", "--version")).toMatch(/^htop 3/);
    expect(succeeds(image, "jq", "-n", "[1,2]|add")).toBe("3\n");
  });

  test("runs the main program of the first package where there is no shell", () => {
    expect(succeeds("hello")).toMatch(/^Hello, world!/);
  });
});

describe("one recipe", () => {
  test("has one digest in whatever order it is written", async () => {
    const [one, other] = await Promise.all(
      ["shell/git/htop", "shell/htop/git"].map((name) => pullManifest(deployment.edgeUrl, name)),
    );
    expect(one?.digest).toBe(other?.digest);
  });

  test("has one digest from two empty states", async () => {
    const second = await deploy();
    try {
      await second.startOrigin();
      const image = "shell/git/htop";
      const [there, here] = await Promise.all(
        [second.originUrl, deployment.originUrl].map((url) => pullManifest(url, image)),
      );
      expect(there?.digest).toBe(here?.digest);
    } finally {
      await second.close();
    }
  });

  test("of packages that were pulled alone starts no process and packs, stores and uploads nothing", async () => {
    for (const name of ["git", "htop", "jq"]) {
      // At the origin: the edge may have composed it already, and then says nothing.
      await pullManifest(deployment.originUrl, name);
      await origin.waitFor(({ msg, recipe }) => msg === "backfilled" && hasName(recipe, name));
    }
    const layers = join(deployment.statePath, "origin/layers");
    const before = { log: origin.log.length, layers: (await readdir(layers)).length };
    const manifest = await pullManifest(deployment.originUrl, "git/htop/jq");
    const done = await origin.waitFor(
      ({ msg, recipe }) => msg === "backfilled" && recipe === "cacert/git/htop/iana-etc/jq",
    );
    const since = origin.log.slice(before.log).map(({ msg }) => msg);
    expect(since.filter((msg) => msg === "started" || msg === "packed")).toStrictEqual([]);
    // Nor is the config kept, of what was pulled once.
    expect(done.uploads).toBe(0);
    expect(await readdir(layers)).toHaveLength(before.layers);
    expect(manifest.layers.length).toBeGreaterThan(10);
  });
});

describe("what is no image", () => {
  const rows: readonly [
    title: string,
    method: string,
    path: string,
    status: number,
    code: string,
  ][] = [
    ["upper case", "GET", "/v2/UPPER/case/manifests/latest", 400, "NAME_INVALID"],
    ["a long name", "GET", `/v2/${"a".repeat(300)}/manifests/latest`, 400, "NAME_INVALID"],
    ["an invalid tag", "GET", "/v2/git/manifests/-x", 404, "MANIFEST_UNKNOWN"],
    ["a malformed digest", "GET", "/v2/git/manifests/sha256:12", 400, "DIGEST_INVALID"],
    ["a malformed blob digest", "GET", "/v2/git/blobs/sha256:12", 400, "DIGEST_INVALID"],
    ["an unknown blob", "GET", `/v2/git/blobs/sha256:${"0".repeat(64)}`, 404, "BLOB_UNKNOWN"],
    ["a push", "PUT", "/v2/git/manifests/latest", 405, "UNSUPPORTED"],
    ["an unknown tag", "GET", "/v2/git/manifests/v1.2.3", 404, "MANIFEST_UNKNOWN"],
    ["shell behind a package", "GET", "/v2/htop/git/shell/manifests/latest", 400, "NAME_INVALID"],
    ["a missing package", "GET", "/v2/nosuchpackage/git/manifests/latest", 404, "MANIFEST_UNKNOWN"],
  ];
  for (const [title, method, path, status, code] of rows) {
    for (const at of ["edgeUrl", "originUrl"] as const) {
      test(`${title} is ${status} ${code} at ${at}`, async () => {
        const before = origin.log.length;
        const response = await get(deployment[at], path, { method });
        expect(response.status).toBe(status);
        expect(response.headers.get("content-type")).toBe("application/json");
        const body = (await response.json()) as { errors: { code: string; message: string }[] };
        expect(body.errors[0]?.code).toBe(code);
        const builds = origin.log.slice(before).filter((line) => line.program === "nix-store");
        expect(builds, "nothing is built").toStrictEqual([]);
      });
    }
  }
});

function hasName(recipe: unknown, name: string): boolean {
  return recipe === ["cacert", "iana-etc", name].sort().join("/");
}
