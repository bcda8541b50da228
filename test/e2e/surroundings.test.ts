// What programs find around them in an image, whoever runs it and as whom: folders to write to, a home,
// users, certificates, time zones, a locale, and mount points on roots that cannot be written to.

import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../skip-where.ts";
import { missingAsRoot, missingClient, podmanOptions, podmanReset, runClient } from "./clients.ts";
import { removeStorage, run } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { startDockerd } from "./dockerd.ts";

const IMAGE = "shell/git/gnugrep/openssh/tzdata";
/** Prints its home, commits, and names the folders of these that it may write to. */
const COMMIT = [
  "set -e; echo $HOME; cd $(mktemp -d); git init -q .",
  "git config user.name a; git config user.email a@b; git commit -q --allow-empty -m first",
  "git log --format=%s",
  "for d in /tmp /run /run/lock /var/log /var/tmp; do touch $d/f 2>/dev/null && echo $d; done; true",
].join("; ");
const OF_ALL = ["/tmp", "/run/lock", "/var/tmp"];

let deployment: Deployment;
let scratch: string;
let host: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-surroundings-"));
  deployment = await deploy();
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  ({ host } = new URL(deployment.edgeUrl));
});

afterAll(async () => {
  await deployment?.close();
  if (missingClient("podman") === false) podmanReset(scratch);
  if (scratch) await removeStorage(scratch);
});

describe("podman run", skipWhere(missingAsRoot("podman", "runc")), () => {
  const podman = (options: readonly string[], image: string, script: string, shell = "bash") => {
    const { code, stdout, stderr } = runClient("podman", [
      ...podmanOptions(scratch),
      ...["run", "--rm", "--network=none", "--tls-verify=false", "--quiet"],
      ...["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"],
      ...[...options, `${host}/${image}`, shell, "-c", script],
    ]);
    expect(code, stderr).toBe(0);
    return { lines: stdout.trim().split("\n"), stderr };
  };

  const users = [
    { user: "0", home: "/root" },
    { user: "1000", home: "/" },
    { user: "65532", home: "/home/nonroot" },
    { user: "nobody", home: "/nonexistent" },
    { user: "1000690000:0", home: "/" },
  ];

  test.for(users)("commits as $user, with what podman adds to /etc/passwd", ({ user, home }) => {
    const places = user === "0" ? ["/tmp", "/run", "/run/lock", "/var/log", "/var/tmp"] : OF_ALL;
    const { lines } = podman(["--user", user], IMAGE, `${COMMIT}; ssh -V 2>&1; whoami`);
    const [ssh, name] = lines.slice(2 + places.length);
    expect(lines.slice(0, 2 + places.length)).toStrictEqual([home, "first", ...places]);
    expect(ssh).toMatch(/^OpenSSH/);
    const known: Readonly<Record<string, string>> = { 0: "root", 65532: "nonroot" };
    expect(name).toBe(known[user] ?? user.replace(/:.*/, ""));
  });

  test.for(users)("commits as $user, with /etc/passwd as it is in the image", ({ user, home }) => {
    const { lines } = podman(["--passwd=false", "--user", user], IMAGE, COMMIT);
    expect(lines.slice(0, 2)).toStrictEqual([home, "first"]);
  });

  test.for(users)("commits as $user on a read-only root without capabilities", ({ user, home }) => {
    const options = ["--read-only", "--cap-drop=ALL", "--user", user];
    const { lines } = podman(options, IMAGE, COMMIT);
    expect(lines.slice(0, 3)).toStrictEqual([home, "first", "/tmp"]);
  });

  test.for([
    { user: "0", options: [] },
    { user: "65532", options: [] },
    { user: "1000", options: ["--env", "HOME=/tmp"] },
  ])("keeps git's settings in the home of $user", ({ user, options }) => {
    const script = "git config --global a.b c; git config --global a.b";
    expect(podman(["--user", user, ...options], IMAGE, script).lines).toStrictEqual(["c"]);
  });

  test("says what the image is, to whoever looks for any system's release", () => {
    const script = "cat /etc/*release | grep ^ID; grep -c . /usr/lib/os-release /etc/shells";
    expect(podman([], IMAGE, script).lines).toStrictEqual([
      ...["ID=nixport", "/usr/lib/os-release:4", "/etc/shells:2"],
    ]);
  });

  test("reads what is in /etc/profile.d with a login shell, and keeps PATH without", () => {
    const script =
      "bash -lc 'echo $PATH'; mkdir /etc/profile.d; echo a=found > /etc/profile.d/a.sh; bash -lc 'echo $a'";
    expect(podman([], IMAGE, script).lines).toStrictEqual([
      ...["/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "found"],
    ]);
  });

  test("has the certificates under every name that programs look for", () => {
    const names = [
      ...["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"],
      ...["/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/tls/cert.pem"],
      ...["/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs/ca-certificates.crt"],
    ];
    const script = `for f in ${names.join(" ")}; do cmp $SSL_CERT_FILE $f && echo same; done`;
    const { lines } = podman([], "shell/diffutils", script);
    expect(lines).toStrictEqual(names.map(() => "same"));
  });

  test("knows time zones where they are named", () => {
    const script = "date -d @0 +%Z; TZ=Europe/Berlin date -d @0 +%Z";
    expect(podman([], IMAGE, script).lines).toStrictEqual(["UTC", "CET"]);
  });

  test("has the locale C.UTF-8 with a C library that brings it, and nothing warns", () => {
    const script = "echo \"$LANG\"; printf é | wc -m; perl -e 'print qq(perl\\n)'";
    const { lines, stderr } = podman([], "shell/perl", script);
    expect(lines).toStrictEqual(["C.UTF-8", "1", "perl"]);
    expect(stderr).toBe("");
  });

  test("promises no locale without a C library", () => {
    expect(podman([], "busybox", 'echo ".$LANG"', "sh").lines).toStrictEqual(["."]);
  });
});

describe("buildah bud", skipWhere(missingAsRoot("buildah")), () => {
  test("finds what is copied to /usr/local/bin, as a user that nobody knows", async () => {
    const context = await mkdtemp(join(scratch, "context-"));
    await writeFile(join(context, "app"), "#!/bin/sh\necho own\n", { mode: 0o755 });
    await writeFile(
      join(context, "Dockerfile"),
      [
        `FROM ${host}/${IMAGE}`,
        "COPY app /usr/local/bin/",
        "USER 1000",
        "RUN app && cd $(mktemp -d) && git init -q . && git config a.b c && git config a.b",
      ].join("\n"),
    );
    const storage = ["--root", join(context, "root"), "--runroot", join(context, "run")];
    const output = await run("buildah", [
      ...[...storage, "--storage-driver", "overlay", "bud", "--isolation", "chroot"],
      ...["--tls-verify=false", context],
    ]);
    expect(output).toMatch(/^own\nc$/m);
    await run("buildah", [...storage, "--storage-driver", "overlay", "rmi", "--all", "--force"]);
  });
});

describe("docker run", skipWhere(missingAsRoot("dockerd", "docker")), () => {
  test("commits as anybody, also on a read-only root", async () => {
    const folder = await mkdtemp(join(scratch, "dockerd-"));
    const dockerd = await startDockerd(folder);
    try {
      const rows: readonly [options: readonly string[], home: string][] = [
        [[], "/root"],
        [["--user=1000"], "/"],
        [["--user=65532", "--cap-drop=ALL"], "/home/nonroot"],
        [["--user=1000690000:0", "--read-only", "--tmpfs=/tmp"], "/"],
      ];
      for (const [options, home] of rows) {
        const script = ["bash", "-c", COMMIT];
        const output = await dockerd.run(`${host}/${IMAGE}`, options, script);
        expect(output.split("\n").slice(0, 3)).toStrictEqual([home, "first", "/tmp"]);
      }
    } finally {
      await dockerd.stop();
    }
  });
});

describe(
  "a root that nothing can be written to",
  skipWhere(missingAsRoot("skopeo", "umoci")),
  () => {
    let bundle: string;
    beforeAll(async () => {
      const folder = await mkdtemp(join(scratch, "umoci-"));
      const source = ["--src-tls-verify=false", `docker://${host}/${IMAGE}`];
      await run("skopeo", ["copy", "--quiet", ...source, `oci:${folder}/layout:image`]);
      bundle = join(folder, "bundle");
      await run("umoci", ["unpack", "--image", `${folder}/layout:image`, bundle]);
    });
    /** Where nobody can write to the root from outside either, so that no mount point can be made. */
    const sealed = (program: string, args: readonly string[]) => {
      const seal = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; exec "$@"';
      const root = join(bundle, "rootfs");
      return run("unshare", ["--mount", "sh", "-ec", seal, "sh", root, program, ...args]);
    };
    const script = "ls -d /proc/self /dev/null; touch /file 2>/dev/null || echo read-only";
    const expected = "/dev/null\n/proc/self\nread-only\n";

    test("is run by runc", skipWhere(missingAsRoot("runc")), async () => {
      const file = join(bundle, "config.json");
      const config = JSON.parse(await readFile(file, "utf8"));
      Object.assign(config.process, { terminal: false, args: ["/bin/bash", "-c", script] });
      config.process.user = { uid: 65_532, gid: 65_532 };
      config.root.readonly = true;
      await writeFile(file, JSON.stringify(config));
      const state = ["--root", join(bundle, "state")];
      const name = `nixport-${process.pid}`;
      const args = [...state, "run", "--bundle", bundle, name];
      expect(await sealed("runc", args)).toBe(expected);
    });

    test("is entered by bubblewrap", skipWhere(missingAsRoot("bwrap")), async () => {
      const root = ["--ro-bind", join(bundle, "rootfs"), "/", "--dev", "/dev", "--proc", "/proc"];
      const writable = ["--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/var/tmp"];
      const command = [...root, ...writable, "/bin/bash", "-c", script];
      expect(await sealed("bwrap", command)).toBe(expected);
    });
  },
);
