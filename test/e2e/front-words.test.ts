// What front words promise, with real clients: programs that Nix did not build run on `fhs`, `nonroot` is
// no root by its number, and `unix` has what scripts take for granted.

import { copyFile, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../skip-where.ts";
import {
  get,
  missingAsRoot,
  missingClient,
  podmanOptions,
  podmanReset,
  runClient,
} from "./clients.ts";
import { removeStorage, run } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { startDockerd } from "./dockerd.ts";
import { FOREIGN_PROGRAMS, makeForeignPrograms } from "./foreign-programs.ts";

const IMAGE = "shell/fhs/unix/nonroot/git";
const PLACE = "/opt/foreign";
/** All that can be made here, one line each. */
const MADE = FOREIGN_PROGRAMS.filter(({ missing: reason }) => reason === false);
const ALL = MADE.map(({ command }) => `${PLACE}/${command.join(` ${PLACE}/`)}`).join(" && ");
const PRINTED = MADE.map(({ prints }) => prints);

let deployment: Deployment;
let scratch: string;
let foreign: string;
let host: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-front-words-"));
  foreign = join(scratch, "foreign");
  deployment = await deploy();
  await Promise.all([
    deployment.startOrigin(),
    deployment.startEdge(),
    makeForeignPrograms(foreign),
  ]);
  ({ host } = new URL(deployment.edgeUrl));
});

afterAll(async () => {
  await deployment?.close();
  if (missingClient("podman") === false) podmanReset(scratch);
  if (scratch) await removeStorage(scratch);
});

const linesOf = (output: string) => output.trim().split("\n");

test("are one image in any order", async () => {
  const digestOf = async (words: readonly string[]) => {
    const path = `/v2/${words.join("/")}/git/manifests/latest`;
    const { status, headers } = await get(deployment.edgeUrl, path, { method: "HEAD" });
    expect(status).toBe(200);
    return headers.get("Docker-Content-Digest");
  };
  const digest = await digestOf(IMAGE.split("/").slice(0, -1));
  for (const words of [
    ["nonroot", "unix", "fhs", "shell"],
    ["fhs", "shell", "nonroot", "unix"],
    ["unix", "unix", "nonroot", "shell", "fhs"],
  ]) {
    expect(await digestOf(words), words.join("/")).toBe(digest);
  }
});

describe("podman run", skipWhere(missingAsRoot("podman", "runc")), () => {
  const podman = (options: readonly string[], image: string, script: string) => {
    const { code, stdout, stderr } = runClient("podman", [
      ...podmanOptions(scratch),
      ...["run", "--rm", "--network=none", "--tls-verify=false", "--quiet"],
      ...["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"],
      ...["--volume", `${foreign}:${PLACE}:ro`],
      ...[...options, `${host}/${image}`, "bash", "-c", script],
    ]);
    return { code, lines: linesOf(stdout), stderr };
  };

  describe("on fhs", () => {
    test.for([
      { who: "root", options: ["--user=0"] },
      { who: "nonroot", options: [] },
      { who: "nobody known", options: ["--read-only", "--cap-drop=ALL", "--user=1000690000:0"] },
      // Where a runtime has a file system of its own at /run.
      { who: "root with another /run", options: ["--user=0", "--tmpfs=/run"] },
    ])("runs programs that Nix did not build, as $who", ({ options }) => {
      const { code, lines, stderr } = podman(options, IMAGE, ALL);
      expect(code, stderr).toBe(0);
      expect(lines).toStrictEqual(PRINTED);
    });

    for (const { name, command, prints, missing: reason } of FOREIGN_PROGRAMS) {
      test(`starts ${name} without variables`, skipWhere(reason), () => {
        const script = `exec env -i PATH=/bin ${PLACE}/${command.join(` ${PLACE}/`)}`;
        const { code, lines, stderr } = podman([], IMAGE, script);
        expect(code, stderr).toBe(0);
        expect(lines).toStrictEqual([prints]);
      });
    }

    test("shows the versions of its libraries where VS Code's server looks for them", () => {
      const script = [
        "readlink -f /usr/lib64/libstdc++.so.6 | awk -F'.so.' '{ print $NF }'",
        "sed -n 's/.*release version \\([0-9.]*[0-9]\\).*/\\1/p' $(readlink -f /usr/lib64/libc.so.6)",
      ].join("; ");
      const { lines, stderr } = podman([], IMAGE, script);
      expect(stderr).toBe("");
      expect(lines).toStrictEqual([
        expect.stringMatching(/^6\.0\.\d+$/),
        expect.stringMatching(/^2\.\d+$/),
      ]);
    });

    test("shows all programs in /usr/bin", () => {
      const script =
        "printf '#!/usr/bin/env bash\\necho $0' > /tmp/a; printf '#!/usr/bin/git hash-object\\n' > /tmp/b; chmod +x /tmp/?; /tmp/a && cd /tmp && /tmp/b; PATH=/usr/bin command -v git";
      const { lines, stderr } = podman([], IMAGE, script);
      expect(stderr).toBe("");
      expect(lines).toStrictEqual([
        "/tmp/a",
        expect.stringMatching(/^[0-9a-f]{40}$/),
        "/usr/bin/git",
      ]);
    });
  });

  test("says on an image without fhs that there is no such program", () => {
    const { code, stderr } = podman([], "shell", `${PLACE}/node --version`);
    expect(code).toBe(127);
    expect(stderr).toMatch(/node: .*(?:not found|No such file or directory)/);
  });

  test("is on nonroot a user with a home of its own, told by a number", () => {
    const script = "id -u; id -g; whoami; pwd; echo $HOME; touch ~/f && ls ~";
    const { lines, stderr } = podman([], "shell/nonroot/git", script);
    expect(stderr).toBe("");
    const home = "/home/nonroot";
    expect(lines).toStrictEqual(["65532", "65532", "nonroot", home, home, "f"]);
    const format = ["image", "inspect", "--format", "{{.Config.User}}"];
    const { stdout } = runClient("podman", [
      ...podmanOptions(scratch),
      ...[...format, `${host}/shell/nonroot/git`],
    ]);
    // What kubelet asks of an image where a pod says runAsNonRoot.
    expect(stdout.trim()).toMatch(/^[1-9][0-9]*(?::[0-9]+)?$/);
  });

  test("finds on unix what scripts take for granted", () => {
    const names = ["grep", "sed", "awk", "find", "diff", "tar", "gzip", "which", "less", "ps"];
    const script = [
      "set -e; cd $(mktemp -d); printf 'b\\na\\n' > x; tar czf x.tgz x; gzip -t x.tgz",
      "tar xzOf x.tgz | grep -n a; sed s/b/c/ x | awk 'NR == 1'; find . -name 'x*' | wc -l",
      `diff x x; less x | wc -l; ps -o comm= -p $$; which ${names.join(" ")}`,
    ].join("; ");
    const { code, lines, stderr } = podman([], "shell/unix", script);
    expect(code, stderr).toBe(0);
    const found = ["2:a", "c", "2", "2", "bash", ...names.map((name) => `/usr/bin/${name}`)];
    expect(lines.map((line) => line.replace(/^\/bin/, "/usr/bin"))).toStrictEqual(found);
  });
});

describe("buildah bud", skipWhere(missingAsRoot("buildah", "gcc")), () => {
  test("copies a foreign program into fhs, to where the image has a link, and runs it", async () => {
    const context = await mkdtemp(join(scratch, "context-"));
    await copyFile(join(foreign, "c"), join(context, "own"));
    await writeFile(
      join(context, "Dockerfile"),
      [
        `FROM ${host}/shell/fhs`,
        "COPY own /usr/bin/",
        "RUN own && ls /bin/own /bin/bash && test -L /usr/bin",
      ].join("\n"),
    );
    const storage = ["--root", join(context, "root"), "--runroot", join(context, "run")];
    const buildah = [...storage, "--storage-driver", "overlay"];
    const output = await run("buildah", [
      ...[...buildah, "bud", "--isolation", "chroot", "--tls-verify=false", context],
    ]);
    expect(output).toMatch(/^C 3\n\/bin\/bash\n\/bin\/own$/m);
    await run("buildah", [...buildah, "rmi", "--all", "--force"]);
  });
});

describe("docker run", skipWhere(missingAsRoot("dockerd", "docker")), () => {
  test("runs programs that Nix did not build, also on a read-only root", async () => {
    const dockerd = await startDockerd(await mkdtemp(join(scratch, "dockerd-")));
    try {
      const mount = `--volume=${foreign}:${PLACE}:ro`;
      for (const options of [[], ["--user=1000", "--read-only", "--tmpfs=/run"]]) {
        const command = ["bash", "-c", `${ALL}; id -u`];
        const output = await dockerd.run(`${host}/${IMAGE}`, [mount, ...options], command);
        const user = options.length === 0 ? "65532" : "1000";
        expect(linesOf(output)).toStrictEqual([...PRINTED, user]);
      }
    } finally {
      await dockerd.stop();
    }
  });
});

describe("bubblewrap", skipWhere(missingAsRoot("skopeo", "umoci", "bwrap")), () => {
  test("runs programs that Nix did not build on a root that umoci unpacked", async () => {
    const folder = await mkdtemp(join(scratch, "umoci-"));
    const source = ["--src-tls-verify=false", `docker://${host}/${IMAGE}`];
    await run("skopeo", ["copy", "--quiet", ...source, `oci:${folder}/layout:image`]);
    const bundle = join(folder, "bundle");
    await run("umoci", ["unpack", "--image", `${folder}/layout:image`, bundle]);
    const root = ["--ro-bind", join(bundle, "rootfs"), "/", "--dev", "/dev", "--proc", "/proc"];
    const files = ["--ro-bind", foreign, "/mnt", "--tmpfs", "/tmp", "--clearenv"];
    const variables = ["--setenv", "PATH", "/usr/bin"];
    const script = ALL.replaceAll(PLACE, "/mnt");
    const output = await run("bwrap", [...root, ...files, ...variables, "bash", "-c", script]);
    expect(linesOf(output)).toStrictEqual(PRINTED);
  });
});
