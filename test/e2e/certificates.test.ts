// Programs in an image verify a server by the certificates of the package set, an authority of one's own
// among them: with the variables of the image, and with none.

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, realpath, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runProcess } from "../../origin/nix/spawn.ts";
import { skipWhere } from "../skip-where.ts";
import { type Certificates, makeCertificates } from "../stand-ins/tls.ts";
import { missingClient, podmanOptions, podmanReset } from "./clients.ts";
import { removeStorage, run } from "./daemon.ts";
import { DEBIAN_SET, type Deployment, deploy } from "./deployment.ts";
import { example } from "./recipes.ts";

const IMAGE = "shell/fhs/curl/git/openssl/python3/wget";
/** Where an image has the programs of this machine, which Nix did not build. */
const FOREIGN = "/opt/foreign";
const DEBIAN_OPENSSL = "/usr/bin/openssl";

/** What the page's example is written for: a package set with a cacert that takes more, as nixpkgs' does. */
const PACKAGES = `{ system, ... }:
let
  pkgs = import ./debian { inherit system; };
  bundleOf = { extraCertificateFiles ? [ ] }: derivation {
    name = "nss-cacert";
    inherit system;
    builder = "\${pkgs.busybox}/bin/sh";
    args = [ "-c" "$busybox mkdir -p $out/etc/ssl/certs; $busybox cat $bundles > $out/etc/ssl/certs/ca-bundle.crt" ];
    busybox = "\${pkgs.busybox}/bin/busybox";
    bundles = [ "\${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt" ] ++ extraCertificateFiles;
  };
in
pkgs // { cacert = bundleOf { } // { override = bundleOf; }; }
`;

const VERIFY = ["s_client", "-verify_return_error", "-servername", "localhost"];
const OPEN = "import urllib.request; urllib.request";
const fetching = (port: number) =>
  `fetch("https://localhost:${port}/").catch((e) => { console.error(e); process.exitCode = 1; })`;
/** How each program is had to verify a server, at a port of localhost. */
const PROGRAMS: Readonly<Record<string, (port: number) => readonly string[]>> = {
  curl: (port) => ["curl", "--silent", "--show-error", `https://localhost:${port}/`],
  git: (port) => ["git", "ls-remote", `https://localhost:${port}/repository`],
  "a foreign Node": (port) => [`${FOREIGN}/node`, "--use-openssl-ca", "-e", fetching(port)],
  [DEBIAN_OPENSSL]: (port) => [
    ...["env", `LD_LIBRARY_PATH=${FOREIGN}`, `${FOREIGN}/openssl`],
    ...[...VERIFY, "-connect", `localhost:${port}`],
  ],
  openssl: (port) => ["openssl", ...VERIFY, "-connect", `localhost:${port}`],
  python3: (port) => ["python3", "-c", `${OPEN}.urlopen("https://localhost:${port}/")`],
  wget: (port) => ["wget", "--no-verbose", "--output-document=-", `https://localhost:${port}/`],
};

const WITHOUT = [
  { variables: "those of the image", by: [] },
  { variables: "all but SSL_CERT_FILE", by: ["env", "--unset=SSL_CERT_FILE"] },
  { variables: "none", by: ["env", "--ignore-environment"] },
];

const OF_THIS_MACHINE = [DEBIAN_OPENSSL];
const OTHERS = Object.keys(PROGRAMS).filter((name) => !OF_THIS_MACHINE.includes(name));

let scratch: string;
let deployment: Deployment;
let image: string;
const ports = { ours: 0, strange: 0 };
const servers: Server[] = [];

const missing = missingClient("podman", "runc");

describe("podman run", skipWhere(missing), () => {
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "nixport-certificates-"));
    const [set, strangers] = [join(scratch, "set"), await mkdtemp(join(scratch, "strangers-"))];
    await cp(await realpath(DEBIAN_SET), join(set, "debian"), { recursive: true });
    await writeFile(join(set, "packages.nix"), PACKAGES);
    await writeFile(join(set, "default.nix"), example("bundleInSet", ""));
    ports.ours = await serve(makeCertificates(set, ["localhost"]));
    ports.strange = await serve(makeCertificates(strangers, ["localhost"]));
    await plantForeign(join(scratch, "foreign"));
    deployment = await deploy({ packages: set });
    await deployment.startOrigin();
    image = `${new URL(deployment.originUrl).host}/${IMAGE}`;
  });
  afterAll(async () => {
    await deployment?.close();
    for (const server of servers) server.close();
    podmanReset(scratch);
    await removeStorage(scratch);
  });

  function verified(names: readonly string[]): void {
    const rows = WITHOUT.flatMap((row) => names.map((name) => ({ ...row, name })));

    test.for(rows)("has $name verify a server, with $variables", async ({ name, by }) => {
      const { code, stderr } = await verify(name, ports.ours, by);
      expect(code, stderr).toBe(0);
    });

    test.for(names)(
      "has %s refuse the server of an authority that is not in the set",
      async (name) => {
        const { code, stderr } = await verify(name, ports.strange, []);
        expect(code, stderr).not.toBe(0);
        expect(stderr).toMatch(/verif|issuer|certificate/i);
      },
    );
  }

  verified(OTHERS);
  // What Debian built with OpenSSL looks in /usr/lib/ssl.
  describe("a distribution's program", skipWhere(missingDebianOpenssl()), () =>
    verified(OF_THIS_MACHINE),
  );
});

function missingDebianOpenssl(): string | false {
  const { stdout } = spawnSync(DEBIAN_OPENSSL, ["version", "-d"], { encoding: "utf8" });
  return !stdout?.includes('"/usr/lib/ssl"') && "openssl is not Debian's";
}

/** Node's own release, and openssl with its libraries. */
async function plantForeign(folder: string): Promise<void> {
  await mkdir(folder);
  await cp(process.execPath, join(folder, "node"));
  if (missingDebianOpenssl()) return;
  await cp(DEBIAN_OPENSSL, join(folder, "openssl"));
  const linked = await run("ldd", [DEBIAN_OPENSSL]);
  for (const [, path = ""] of linked.matchAll(/=> (\/\S+\/lib(?:ssl|crypto)\.so\S*)/g)) {
    await cp(await realpath(path), join(folder, basename(path)));
  }
}

/** On the host's network, since the server is of this process. */
async function verify(name: string, port: number, by: readonly string[]) {
  const command = PROGRAMS[name]?.(port) ?? [];
  const { PATH = "", HOME = "/" } = process.env;
  const result = await runProcess(
    "podman",
    [
      ...podmanOptions(scratch),
      ...["run", "--rm", "--network=host", "--tls-verify=false", "--quiet"],
      ...["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"],
      ...["--volume", `${join(scratch, "foreign")}:${FOREIGN}:ro`, image, ...by, ...command],
    ],
    { env: { PATH, HOME }, deadlineMs: 120_000 },
  );
  if (result.kind !== "exited") throw new Error(`podman: ${result.kind}`);
  return result;
}

/** Answers anything, and is a repository of git's for those that have no protocol but files. */
async function serve({ key, certificate }: Certificates): Promise<number> {
  const server = createServer({ key, cert: certificate }, (request, response) => {
    const isRefs = request.url?.startsWith("/repository/info/refs") ?? false;
    response.end(isRefs ? `${"0".repeat(39)}1\trefs/heads/main\n` : "verified\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
