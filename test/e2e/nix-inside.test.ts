// Nix inside an image, as a container's only store: it knows what the image holds and keeps it, and builds,
// installs and collects what is added.

import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../skip-where.ts";
import { missingClient, podmanOptions, podmanReset, runClient } from "./clients.ts";
import { removeStorage, run } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { startDockerd } from "./dockerd.ts";

const IMAGE = "shell/git/nix";
/** No container of these tests reaches a cache. */
const OFFLINE = "NIX_CONFIG=substituters =";
const COLLECT = "nix-collect-garbage 2>/dev/null | cut -d, -f1";
const COMMIT = [
  "cd $(mktemp -d) && git init -q . && git config user.name a && git config user.email a@b",
  "git commit -q --allow-empty -m first && git log --format=%s",
].join(" && ");
const VERIFY = "nix-store --verify --check-contents 2>/dev/null && echo whole";
// A builtin of the shell is last: Nix kills a builder that closes its output, as chmod does before it ends.
const BUILD = `nix-build --no-out-link -E 'derivation {
  name = "built"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin";
  args = [ "-c" "mkdir -p $out/bin; echo echo own > $out/bin/own; chmod +x $out/bin/own; :" ];
}' 2>/dev/null`;

let deployment: Deployment;
let scratch: string;
let image: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-nix-inside-"));
  deployment = await deploy();
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  image = `${new URL(deployment.edgeUrl).host}/${IMAGE}`;
});

afterAll(async () => {
  await deployment?.close();
  if (missingClient("podman") === false) podmanReset(scratch);
  if (scratch) await removeStorage(scratch);
});

describe("podman run", skipWhere(missingClient("podman", "runc")), () => {
  const podman = (options: readonly string[], ...script: readonly string[]) => {
    const { code, stdout, stderr } = runClient("podman", [
      ...podmanOptions(scratch),
      ...["run", "--rm", "--network=none", "--tls-verify=false", "--quiet", "--env", OFFLINE],
      ...["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", ...options],
      ...[image, "bash", "-c", script.join("; ")],
    ]);
    expect(code, stderr).toBe(0);
    return stdout.trim().split("\n");
  };

  test("keeps all that the image holds when garbage is collected", () => {
    const count = "ls /nix/store | wc -l";
    const [before, deleted, after, subject] = podman([], count, COLLECT, count, COMMIT);
    expect({ deleted, after, subject }).toStrictEqual({
      ...{ deleted: "0 store paths deleted", after: before, subject: "first" },
    });
  });

  test("knows every store path as it is, and what it needs", () => {
    const closure = "nix-store --query --requisites /nix/var/nix/gcroots/nixport/*";
    const [whole, known, held] = podman([], VERIFY, `${closure} | wc -l`, "ls /nix/store | wc -l");
    expect(whole).toBe("whole");
    expect(known).toBe(held);
  });

  test("builds, installs and collects what is added, and nothing else", () => {
    const install = `nix-env -i "$(${BUILD})" 2>/dev/null`;
    const start = "$HOME/.nix-profile/bin/own";
    const forget = "nix-env -e built 2>/dev/null; nix-collect-garbage -d 2>/dev/null >&2";
    const left = "ls -d /nix/store/*-built 2>/dev/null | wc -l";
    expect(
      podman([], install, start, left, COLLECT, start, forget, left, COMMIT, VERIFY),
    ).toStrictEqual(["own", "1", "0 store paths deleted", "own", "0", "first", "whole"]);
  });

  test("is root's alone: others have a store elsewhere", () => {
    const options = ["--user=1000", "--env=HOME=/tmp/home", "--env=NIX_REMOTE=local?root=/tmp/own"];
    const instantiate = "nix-instantiate --eval -E 1+1";
    expect(podman(options, "mkdir /tmp/home", instantiate)).toStrictEqual(["2"]);
  });
});

describe("buildah bud", skipWhere(missingClient("buildah")), () => {
  test("collects garbage in one layer, and builds in the next", async () => {
    const context = await mkdtemp(join(scratch, "context-"));
    const lines = [`FROM ${image}`, `ENV ${OFFLINE.replace("=", '="')}"`, `RUN ${COLLECT}`];
    await writeFile(join(context, "build"), `$(${BUILD})/bin/own; ${VERIFY}; ${COMMIT}\n`);
    const dockerfile = [...lines, "COPY build /build", "RUN sh /build"].join("\n");
    await writeFile(join(context, "Dockerfile"), dockerfile);
    const storage = ["--root", join(context, "root"), "--runroot", join(context, "run")];
    const output = await run("buildah", [
      ...[...storage, "--storage-driver", "overlay", "bud", "--isolation", "chroot"],
      ...["--tls-verify=false", context],
    ]);
    expect(output).toMatch(/^0 store paths deleted$.*^own\nwhole\nfirst$/ms);
    await run("buildah", [...storage, "--storage-driver", "overlay", "rmi", "--all", "--force"]);
  });
});

describe("docker run", skipWhere(missingClient("dockerd", "docker")), () => {
  test("keeps all that the image holds when garbage is collected", async () => {
    const folder = await mkdtemp(join(scratch, "dockerd-"));
    const dockerd = await startDockerd(folder);
    try {
      const script = ["bash", "-c", `${COLLECT}; ${COMMIT}; ${VERIFY}`];
      const output = await dockerd.run(image, ["--env", OFFLINE], script);
      expect(output.trim().split("\n")).toStrictEqual([
        ...["0 store paths deleted", "first", "whole"],
      ]);
    } finally {
      await dockerd.stop();
    }
  });
});
