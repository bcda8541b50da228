// The examples of docs/recipes.md for Kubernetes, for clients of a registry without TLS, and for a proxy
// that brings it.

import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../free-port.ts";
import { skipWhere } from "../skip-where.ts";
import { makeCertificates } from "../stand-ins/tls.ts";
import { NGINX } from "../tools.ts";
import { missingAsRoot, missingClient, podmanOptions, podmanReset } from "./clients.ts";
import { startContainerd } from "./containerd.ts";
import { removeStorage, run, startDaemon } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { example, REGISTRY, take } from "./recipes.ts";

const LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

let scratch: string;
let deployment: Deployment;
let host: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-elsewhere-"));
  deployment = await deploy();
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  ({ host } = new URL(deployment.edgeUrl));
});
afterAll(async () => {
  await deployment?.close();
  if (missingClient("podman") === false) podmanReset(scratch);
  if (scratch) await removeStorage(scratch);
});

describe("Kubernetes", () => {
  test(
    "debugs with a user that is a number and not 0",
    skipWhere(missingAsRoot("skopeo", "podman")),
    async () => {
      const image = take(example("debug", host), /--image=(\S+)/);
      const inspect = ["inspect", "--config", "--tls-verify=false", `docker://${image}`];
      const { config } = JSON.parse(await run("skopeo", inspect));
      expect(config.User).toMatch(/^[1-9]\d*(?::\d+)?$/);
      const restricted = [
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--tls-verify=false",
      ];
      const options = ["run", "--rm", "--quiet", "--network=none", ...LIMITS, ...restricted];
      const script = ["bash", "-c", "id -u; curl --version | head -c 4; touch ~/file"];
      expect(await run("podman", [...podmanOptions(scratch), ...options, image, ...script])).toBe(
        `${config.User.split(":")[0]}\ncurl`,
      );
    },
  );

  test(
    "mounts an image twice, where no Nix is",
    skipWhere(missingAsRoot("skopeo", "umoci", "bwrap")),
    async () => {
      const pod = example("pod", host);
      const folder = await mkdtemp(join(scratch, "volume-"));
      const source = ["--src-tls-verify=false", `docker://${take(pod, /reference: (\S+)/)}`];
      await run("skopeo", ["copy", "--quiet", ...source, `oci:${folder}/layout:image`]);
      await run("umoci", ["unpack", "--image", `${folder}/layout:image`, `${folder}/bundle`]);
      const mounts = [...pod.matchAll(/mountPath: ([^,]+),(?: subPath: (\w+),)? readOnly: true/g)];
      const binds = mounts.flatMap(([, path = "", subPath = ""]) => [
        ...["--ro-bind", join(folder, "bundle", "rootfs", subPath), path],
      ]);
      const command = take(pod, /command: \[(.*)\]/).split(", ");
      expect(mounts).toHaveLength(2);
      expect(await run("bwrap", ["--tmpfs", "/", ...binds, ...command])).toMatch(/^jq-/);
    },
  );
});

describe("a registry without TLS", () => {
  test("is read by Podman as it is told", skipWhere(missingAsRoot("podman")), async () => {
    const file = join(scratch, "registries.conf");
    const pull = [...podmanOptions(scratch), "pull", "--quiet", `${host}/hello`];
    await writeFile(file, "");
    const env = { CONTAINERS_REGISTRIES_CONF: file };
    await expect(run("podman", pull, env)).rejects.toThrow(/HTTP response to HTTPS client/);
    await writeFile(file, example("insecurePodman", host));
    const id = (await run("podman", pull, env)).trim();

    const [, ...prune] = example("prune", host).trim().split(" ");
    await run("podman", [...podmanOptions(scratch), ...prune]);
    const images = [...podmanOptions(scratch), "images", "--quiet", "--no-trunc"];
    expect(await run("podman", images)).toContain(id);
    await run("podman", [...podmanOptions(scratch), ...prune.slice(0, -2)]);
    expect(await run("podman", images)).not.toContain(id);
  });

  test(
    "is read by containerd as it is told",
    skipWhere(missingAsRoot("containerd", "ctr")),
    async () => {
      const containerd = await startContainerd(join(scratch, "containerd"));
      onTestFinished(() => containerd.stop());
      // No other setting leads from that name to this registry.
      const hosts = join(scratch, "hosts", REGISTRY);
      await mkdir(hosts, { recursive: true });
      await writeFile(join(hosts, "hosts.toml"), example("insecureContainerd", host));
      const listing = await containerd.unpack(`${REGISTRY}/hello:latest`, "recipes", [
        ...["--hosts-dir", join(scratch, "hosts")],
      ]);
      expect(listing.has("bin/hello")).toBe(true);
    },
  );
});

const noNginx = !existsSync(NGINX) && "nginx is not installed";

describe("nginx", skipWhere(noNginx || missingClient("skopeo")), () => {
  test("brings TLS to a registry", async () => {
    const folder = await mkdtemp(join(scratch, "nginx-"));
    const { authorityFile, key, certificate } = makeCertificates(folder, ["localhost"]);
    await writeFile(join(folder, "registry.pem"), certificate);
    await writeFile(join(folder, "registry.key"), key);
    const port = await freePort();
    const server = example("nginx", "localhost")
      .replace("listen 443", `listen 127.0.0.1:${port}`)
      .replace("127.0.0.1:8787", host)
      .replaceAll("/etc/ssl/", `${folder}/`);
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    );
    const config = join(folder, "nginx.conf");
    await writeFile(
      config,
      [
        `daemon off; pid ${folder}/pid; error_log stderr; events { }`,
        `http { access_log off; ${paths.join(" ")}\n${server}}`,
      ].join("\n"),
    );
    const trusted = join(folder, "trusted");
    await mkdir(trusted);
    await copyFile(authorityFile, join(trusted, "ca.crt"));
    const inspect = ["inspect", "--raw", "--cert-dir", trusted, `docker://localhost:${port}/hello`];
    const nginx = await startDaemon({
      program: NGINX,
      args: ["-c", config, "-p", folder, "-e", "stderr"],
      env: { PATH: process.env.PATH ?? "" },
      logPath: join(folder, "log"),
      probe: () => run("skopeo", inspect),
    });
    onTestFinished(() => nginx.stop());
    expect(JSON.parse(await run("skopeo", inspect)).layers).not.toStrictEqual([]);
    const target = `oci:${folder}/layout:image`;
    const copy = ["copy", "--quiet", "--src-cert-dir", trusted];
    await run("skopeo", [...copy, `docker://localhost:${port}/hello`, target]);
  });
});
