// What Nixery's documents show, at an origin that was started with a file of Nixery's variables as it
// is: each kind of package source, the images, the web site, the popularity data. What needs the
// network, a channel, is in config.test.ts as far as it is read.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../../origin/configuration/config.ts";
import { skipWhere } from "../../skip-where.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../fixture.ts";
import { SHELL_BUILDER } from "../nix/sandbox-shell.ts";
import { createRepository, GIT_ENV } from "../sources/git-repository.ts";
import { missingEmulator, plantKey, startEmulator } from "../storage/emulator.ts";

const atEnd = endOfFile();
const onEmulator = skipWhere(await missingEmulator());
const COMMAND = fileURLToPath(new URL("../../../origin/command/origin.ts", import.meta.url));
const [ARCHITECTURE, OTHER] = process.arch === "arm64" ? ["arm64", "amd64"] : ["amd64", "arm64"];
const POPULAR = "library-1.0";

/** Names that Nixery's documents have, each a program that the machine's own Nix makes. */
const PACKAGE_SET = `{ system ? builtins.currentSystem, ... }:
  let
    make = name: file: derivation {
      inherit name; system = builtins.currentSystem; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
      args = [ "-c" "mkdir -p $(dirname $out/\${file}); echo '#!/bin/sh' > $out/\${file}; chmod 755 $out/\${file}" ];
    } // { inherit system; pname = name; version = "1.0"; };
    program = name: make "\${name}-1.0" "bin/\${name}";
  in {
    cacert = make "nss-cacert-1.0" "etc/ssl/certs/ca-bundle.crt";
    iana-etc = make "iana-etc-1.0" "etc/protocols";
    bashInteractive = make "bash-interactive-1.0" "bin/bash";
    coreutils = program "coreutils"; moreutils = program "moreutils"; nano = program "nano";
    git = program "git"; htop = program "htop"; hello = program "hello";
    haskellPackages.ShellCheck = program "shellcheck";
    custom-service = program "custom-service";
  }`;

interface Started {
  readonly url: string;
  /** What it has printed, line by line. */
  readonly lines: readonly string[];
}

let repository: string;
let rewound: string;

beforeAll(async () => {
  const { path, commit, git } = await createRepository(atEnd);
  repository = path;
  await commit(PACKAGE_SET.replace(/^ *custom-service = .*$/m, ""));
  git("checkout", "--quiet", "-b", "release");
  rewound = await commit(PACKAGE_SET);
  git("tag", "release-v2");
  git("checkout", "--quiet", "main");
  git("update-server-info");
});

/** As `docker run --env-file` reads one: a variable a line. */
function readEnvironmentFile(text: string): Readonly<Record<string, string>> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => [line.replace(/=.*/, ""), line.replace(/^[^=]*=/, "")]),
  );
}

/** In a folder of its own, as it may be started anywhere; `PORT=0` is the one line that tests need. */
async function start(
  onEnd: Ending,
  environmentFile: string,
  besides: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const cwd = await temporaryDirectory(onEnd);
  const child = spawn(process.execPath, [COMMAND], {
    cwd,
    env: {
      ...{ ...GIT_ENV, HOME: cwd, NIX_CONFIG: "sandbox = false\nsubstituters =\n", ...besides },
      ...readEnvironmentFile(environmentFile),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  onEnd(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  const lines: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on("line", (line) => {
      lines.push(line);
      const [, url] = /^origin at (\S+),/.exec(line) ?? [];
      if (url !== undefined) resolve(url);
    });
  }
  void ended.then(([code]) => reject(new Error(`exit code ${code}\n${lines.join("\n")}`)));
  return { url: await promise, lines };
}

interface Config {
  readonly architecture: string;
  readonly config: { readonly Cmd?: readonly string[]; readonly Env: readonly string[] };
}

async function configOf({ url }: Started, image: string): Promise<Config> {
  const [, name = "", tag = "latest"] = /^(.*?)(?::(.*))?$/.exec(image) ?? [];
  const response = await fetch(`${url}/v2/${name}/manifests/${tag}`);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const { digest } = JSON.parse(text).config;
  return (await (await fetch(`${url}/v2/${name}/blobs/${digest}`)).json()) as Config;
}

async function serve(onEnd: Ending, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onEnd(async () => {
    server.close();
    await once(server, "close");
  });
  return (server.address() as AddressInfo).port;
}

describe("an environment file of Nixery's starts the origin", { timeout: 120_000 }, () => {
  test("with a local path, and its images are pulled", async () => {
    const folder = await temporaryDirectory(onTestFinished);
    await Promise.all(["set", "web"].map((name) => mkdir(join(folder, name))));
    await writeFile(join(folder, "web/index.html"), "<h1>our registry</h1>");
    await writeFile(join(folder, "set/default.nix"), PACKAGE_SET);
    const data = createHttpServer((_request, response) => response.end(`{"${POPULAR}": 310000}`));
    const port = await serve(onTestFinished, data);
    const started = await start(
      onTestFinished,
      `# as for docker run --env-file
NIXERY_STORAGE_BACKEND=filesystem
STORAGE_PATH=${folder}/var/cache/nixery
PORT=0
WEB_DIR=${folder}/web
NIXERY_PKGS_PATH=${folder}/set
NIX_TIMEOUT=120
NIX_POPULARITY_URL=http://127.0.0.1:${port}/popularity.json
`,
    );
    expect((await fetch(`${started.url}/v2/`)).status).toBe(200);
    expect(await (await fetch(`${started.url}/`)).text()).toBe("<h1>our registry</h1>");
    expect((await fetch(`${started.url}/absent`)).status).toBe(404);
    const images: readonly [image: string, program: string, architecture: string | undefined][] = [
      ["shell/git/htop", "bash", ARCHITECTURE],
      ["shell/htop/git", "bash", ARCHITECTURE],
      ["shell", "bash", ARCHITECTURE],
      ["hello", "hello", ARCHITECTURE],
      ["haskellpackages.shellcheck", "shellcheck", ARCHITECTURE],
      ["arm64/hello", "hello", "arm64"],
      [`${OTHER}/hello`, "hello", OTHER],
    ];
    for (const [image, program, architecture] of images) {
      const config = await configOf(started, image);
      expect(config.config.Cmd, image).toStrictEqual([`/bin/${program}`]);
      expect(config.architecture, image).toBe(architecture);
      expect(config.config.Env, image).toContain("SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt");
    }
    const { headers } = await fetch(`${started.url}/v2/hello/manifests/latest`);
    expect(headers.get("Nixport-Packing") ?? "none", "no popularity data").not.toMatch(/none$/);
    expect((await readdir(join(folder, "var/cache/nixery/layers"))).length).toBeGreaterThan(0);
  });

  test("with a bucket, which clients get blobs from", onEmulator, async () => {
    const folder = await temporaryDirectory(onTestFinished);
    await writeFile(join(folder, "default.nix"), PACKAGE_SET);
    const emulator = await startEmulator(onTestFinished);
    const bucket = await emulator.makeBucket();
    const file = `NIXERY_PKGS_PATH=${folder}
NIXERY_STORAGE_BACKEND=gcs
GCS_BUCKET=${bucket}
GOOGLE_APPLICATION_CREDENTIALS=${await plantKey(folder)}
PORT=0
`;
    const started = await start(onTestFinished, file, { STORAGE_EMULATOR_HOST: emulator.url });
    const config = await configOf(started, "shell/git");
    expect(config.config.Cmd).toStrictEqual(["/bin/bash"]);
    const manifest = await (await fetch(`${started.url}/v2/shell/git/manifests/latest`)).json();
    const [layer] = (manifest as { layers: readonly { digest: string }[] }).layers;
    const blob = `${started.url}/v2/shell/git/blobs/${layer?.digest}`;
    const sent = await fetch(blob, { redirect: "manual" });
    const layers = `${emulator.url}/${bucket}/layers/`;
    expect(sent.headers.get("Location")?.startsWith(layers)).toBe(true);
  });

  const repositories: readonly [what: string, url: (onEnd: Ending) => Promise<Remote>][] = [
    ["a path", async () => ({ url: repository })],
    ["a file URL", async () => ({ url: `file://${repository}` })],
    ["https", overHttps],
    ["an ssh URL", async (t) => ({ url: `ssh://git@h.example${repository}`, env: await ssh(t) })],
    ["ssh as scp has it", async (t) => ({ url: `git@h.example:${repository}`, env: await ssh(t) })],
  ];
  test.for(repositories)(
    "with a git repository by %s, and tags are its refs",
    async ([, remote]) => {
      const { url, env = {} } = await remote(onTestFinished);
      const file = `NIXERY_PKGS_REPO=${url}
NIXERY_STORAGE_BACKEND=filesystem
STORAGE_PATH=${await temporaryDirectory(onTestFinished)}
PORT=0
`;
      const started = await start(onTestFinished, file, env);
      const absent = await fetch(`${started.url}/v2/custom-service/manifests/latest`);
      expect(absent.status).toBe(404);
      for (const tag of ["release-v2", "release", rewound]) {
        const config = await configOf(started, `custom-service:${tag}`);
        expect(config.config.Cmd, tag).toStrictEqual(["/bin/custom-service"]);
      }
    },
  );

  test("with a web folder that is not there, as with none", async () => {
    const folder = await temporaryDirectory(onTestFinished);
    await writeFile(join(folder, "default.nix"), PACKAGE_SET);
    const file = `NIXERY_PKGS_PATH=${folder}
NIXERY_STORAGE_BACKEND=filesystem
STORAGE_PATH=${await temporaryDirectory(onTestFinished)}
PORT=0
WEB_DIR=${folder}/gone
`;
    const started = await start(onTestFinished, file);
    expect((await fetch(`${started.url}/`)).status).toBe(404);
    expect(started.lines.some((line) => line.includes("WEB_DIR is no folder"))).toBe(true);
  });

  test.for(["nixos-unstable", "nixos-20.09", "nixos-21.05", "a".repeat(40)])(
    "with the channel %s, as far as it is read",
    (channel) => {
      const file = `NIXERY_CHANNEL=${channel}
NIXERY_STORAGE_BACKEND=filesystem
STORAGE_PATH=/var/cache/nixery
PORT=8080
`;
      const result = readConfig(readEnvironmentFile(file));
      assert(result.kind === "config", JSON.stringify(result));
      const { source, storagePath, port } = result.config;
      assert(source.kind === "nixpkgs");
      expect([source.channel, storagePath, port]).toStrictEqual([
        channel,
        "/var/cache/nixery",
        8080,
      ]);
    },
  );
});

interface Remote {
  readonly url: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** An ssh that is on this machine at once: its last argument is what it would start elsewhere. */
async function ssh(onEnd: Ending): Promise<Readonly<Record<string, string>>> {
  const folder = await temporaryDirectory(onEnd);
  const path = join(folder, "ssh");
  await writeFile(path, '#!/bin/sh\nfor command; do :; done; exec /bin/sh -c "$command"\n');
  await chmod(path, 0o755);
  return { PATH: [folder, process.env.PATH].join(delimiter) };
}

/** The files of the repository, which is all that git needs ("dumb" HTTP). */
async function overHttps(onEnd: Ending): Promise<Remote> {
  const folder = await temporaryDirectory(onEnd);
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", key, "-out", certificate];
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
  execFileSync("openssl", [...request, ...subject, ...files], { stdio: "ignore" });
  const listener: RequestListener = async (request, response) => {
    const path = new URL(request.url ?? "", "https://x").pathname;
    const bytes = await readFile(join(repository, path)).catch(() => undefined);
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  };
  const tls = { key: await readFile(key), cert: await readFile(certificate) };
  const port = await serve(onEnd, createHttpsServer(tls, listener));
  return { url: `https://127.0.0.1:${port}/.git`, env: { GIT_SSL_CAINFO: certificate } };
}
