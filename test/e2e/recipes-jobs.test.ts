// The examples of docs/recipes.md that an engine starts and keeps: jobs as the runners of GitHub and GitLab
// start them, and containers to develop in.

import { chown, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { skipWhere } from "../skip-where.ts";
import { missingClient, podmanOptions, podmanReset } from "./clients.ts";
import { removeStorage, run } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { startDockerd } from "./dockerd.ts";
import { example, take } from "./recipes.ts";

/** Of the user that runners are on their machines, who owns what they mount. */
const RUNNER = 1001;
/** Node's own release, which is linked as any program for Linux: runners and editors bring one. */
const FOREIGN = dirname(dirname(process.execPath));

interface Engine {
  /** Prints what the engine's own command prints. */
  command(args: readonly string[], input?: string): Promise<string>;
  /** How it is told to run anything at all here. */
  readonly options: readonly string[];
  stop(): Promise<void>;
}

let scratch: string;
let deployment: Deployment;
let host: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-jobs-"));
  deployment = await deploy();
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  ({ host } = new URL(deployment.edgeUrl));
});
afterAll(async () => {
  await deployment?.close();
  if (scratch) await removeStorage(scratch);
});

async function startDocker(): Promise<Engine> {
  const dockerd = await startDockerd(join(scratch, "dockerd"));
  return {
    options: ["--network=none"],
    command: (args, input = "") => dockerd.command(args, { input }),
    stop: () => dockerd.stop(),
  };
}

async function startPodman(): Promise<Engine> {
  const limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
  return {
    options: ["--network=none", "--tls-verify=false", "--quiet", ...limits],
    command: (args, input) => run("podman", [...podmanOptions(scratch), ...args], {}, input),
    stop: async () => podmanReset(scratch),
  };
}

/** A folder of the runner's with a repository in it, and two more. */
async function plantWork(): Promise<string> {
  const work = await mkdtemp(join(scratch, "work-"));
  for (const name of ["repository", "temporary", "home"]) await mkdir(join(work, name));
  const git = ["-C", join(work, "repository"), "-c", "user.name=a", "-c", "user.email=a@b"];
  await run("git", [...git, "init", "--quiet"]);
  await writeFile(join(work, "repository", "check.sh"), "echo checked\n");
  await run("git", [...git, "add", "."]);
  await run("git", [...git, "commit", "--quiet", "--message=first"]);
  await run("chown", ["--recursive", `${RUNNER}:${RUNNER}`, work]);
  return work;
}

const ENGINES = [
  { name: "docker", start: startDocker, needs: missingClient("dockerd", "docker", "git") },
  { name: "podman", start: startPodman, needs: missingClient("podman", "runc", "git") },
];

for (const { name, needs, start: startEngine } of ENGINES) {
  describe(name, skipWhere(needs), () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await startEngine();
    });
    afterAll(() => engine?.stop());

    /** A container that stays until the test has ended, and what runs commands in it. */
    async function start(options: readonly string[], image: string, command: readonly string[]) {
      const args = ["run", "--detach", ...engine.options, ...options, image, ...command];
      const container = (await engine.command(args)).trim();
      onTestFinished(async () => void (await engine.command(["rm", "--force", container])));
      return (program: readonly string[], input = "") =>
        engine.command(["exec", "--interactive", container, ...program], input);
    }

    test("runs a job of GitHub's, in a container that its runner keeps by tail", async () => {
      const job = example("actions", host);
      const work = await plantWork();
      await writeFile(join(work, "temporary", "step.sh"), take(job, /run: \|\n((?: {10}.*\n)+)/));
      await writeFile(join(work, "socket"), "");
      const mounts = [
        ...[`${work}/socket:/var/run/docker.sock`],
        ...[`${work}:/__w`, `${FOREIGN}:/__e/node24:ro`, `${work}/home:/github/home`],
      ].flatMap((mount) => ["--volume", mount]);
      const options = ["--workdir=/__w/repository", "--env=HOME=/github/home", "--env=CI=true"];
      const image = take(job, /container: (\S+)/);
      const kept = [...options, ...mounts, "--entrypoint=tail"];
      const inside = await start(kept, image, ["-f", "/dev/null"]);

      expect(await inside(["sh", "-c", "cat /etc/*release | grep ^ID"])).toBe("ID=nixport\n");
      const hello = "console.log(process.version, process.env.HOME)";
      expect(await inside(["/__e/node24/bin/node", "-e", hello])).toBe(
        `${process.version} /github/home\n`,
      );
      const bash = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"];
      expect(await inside([...bash, "/__w/temporary/step.sh"])).toMatch(/^ {4}first$/m);
      expect(await inside(["sh", "-e", "-c", "cat $HOME/.gitconfig"])).toContain("directory = ");
      const pack =
        "tar --posix -cf cache.tgz --exclude cache.tgz -P -C /__w/repository check.sh -z";
      const unpack = "gzip -dc cache.tgz | tar -xf - -C /tmp && sh /tmp/check.sh";
      expect(await inside(["sh", "-ec", `cd /__w/temporary; ${pack}; ${unpack}`])).toBe(
        "checked\n",
      );
    });

    test("runs a job of GitLab's, as a user that the image does not know", async () => {
      const job = example("gitlab", host);
      const work = await plantWork();
      await chown(join(work, "repository"), 1000, 1000);
      const steps = take(job, /script:\n((?: {4}- .*\n)+)/).replace(/^ {4}- /gm, "");
      const home = take(job, /(HOME: \S+)/).replace(": ", "=");
      const script = `set -eo pipefail\nexport ${home} GITLAB_USER_NAME=me\ncd /builds\n${steps}`;
      const folders = ["/usr/local/bin", "/usr/bin", "/bin"];
      const shells = ["bash", "sh"].flatMap((shell) =>
        folders.map((folder) => `${folder}/${shell}`),
      );
      const find = `for s in ${shells.join(" ")}; do if [ -x $s ]; then exec $s; fi; done; exit 1`;
      const options = ["--user=1000", "--volume", `${work}/repository:/builds`];
      const image = take(job, /image: (\S+)/);
      const args = [
        "run",
        "--rm",
        "--interactive",
        ...engine.options,
        ...options,
        image,
        "sh",
        "-c",
        find,
      ];
      expect(await engine.command(args, script)).toBe("check.sh\n");
    });

    test("keeps a container to develop in, for an editor's own programs", async () => {
      const { image, remoteUser } = JSON.parse(example("devcontainer", host));
      const work = await plantWork();
      const keep = 'trap "exit 0" 15; exec "$@"; while sleep 1 & wait $!; do :; done';
      const mounts = [
        "--volume",
        `${work}/repository:/workspace`,
        "--volume",
        `${FOREIGN}:/server:ro`,
      ];
      const kept = [...mounts, "--entrypoint=/bin/sh", `--user=${remoteUser}`];
      const inside = await start(kept, image, ["-c", keep, "-"]);
      const script =
        "cd ~; tar -cf - -C /server/bin node | gzip -1 | tar -xzf -; ./node -p 'process.platform'; id -un";
      expect(await inside(["/bin/sh"], script)).toBe("linux\nroot\n");
    });
  });
}
