// Real clients log in, at the edge and at an origin that is reached by itself: skopeo, podman, Docker's
// engine and containerd, each with the rights of its account.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hashPassword, makeSecret } from "../../registry/access/password.ts";
import { skipWhere } from "../skip-where.ts";
import {
  get,
  missingAsRoot,
  missingClient,
  podmanOptions,
  podmanReset,
  runClient,
} from "./clients.ts";
import { type Containerd, startContainerd } from "./containerd.ts";
import { run } from "./daemon.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";

let deployment: Deployment;
let scratch: string;
let secret: string;

const PASSWORD = "correct horse";

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-access-"));
  const robot = await makeSecret();
  secret = robot.secret;
  const policy = join(scratch, "policy.json");
  await writeFile(
    policy,
    JSON.stringify({
      users: { alice: { password: await hashPassword(PASSWORD, 1000) } },
      robots: { "ci+robot": { secret: robot.hash, expires: "2100-01-01" } },
      rules: [
        { who: "alice", allow: { names: "*" } },
        { who: "ci+robot", allow: { packages: ["jq", "htop"] } },
        { who: "anonymous", allow: { names: "jq" } },
      ],
    }),
  );
  deployment = await deploy({ env: { NIXPORT_POLICY: policy } });
  await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
});

afterAll(async () => {
  await deployment?.close();
  if (missingClient("podman") === false) podmanReset(scratch);
  await rm(scratch, { recursive: true, force: true });
});

const hostOf = (url: string) => new URL(url).host;
const PLACES = [
  ["the edge", () => deployment.edgeUrl],
  ["the origin by itself", () => deployment.originUrl],
] as const;

describe("skopeo", skipWhere(missingClient("skopeo")), () => {
  const inspect = (url: string, name: string, ...how: readonly string[]) =>
    runClient("skopeo", [
      ...["inspect", "--tls-verify=false", ...how],
      `docker://${hostOf(url)}/${name}`,
    ]);

  test.for(PLACES)("copies from %s as somebody who may", async ([, urlOf], { task }) => {
    const { code, stderr } = runClient("skopeo", [
      ...["copy", "--src-tls-verify=false", "--src-creds", `ci+robot:${secret}`],
      ...[`docker://${hostOf(urlOf())}/jq/htop`, `oci:${scratch}/${task.id}`],
    ]);
    expect(code, stderr).toBe(0);
  });

  test.for(PLACES)(
    "copies from %s as nobody what is for everybody",
    async ([, urlOf], { task }) => {
      const { code, stderr } = runClient("skopeo", [
        ...["copy", "--src-tls-verify=false", "--src-no-creds"],
        ...[`docker://${hostOf(urlOf())}/jq`, `oci:${scratch}/${task.id}`],
      ]);
      expect(code, stderr).toBe(0);
    },
  );

  test.for(PLACES)("is told at %s why it may not", ([, urlOf]) => {
    const denied = inspect(urlOf(), "git", "--creds", `ci+robot:${secret}`);
    expect(denied.stderr).toMatch(/ci\+robot may not pull git|requested access .* is denied/);
    expect(inspect(urlOf(), "git", "--creds", "alice:wrong").stderr).toMatch(/unauthorized|wrong/i);
    expect(inspect(urlOf(), "git", "--no-creds").stderr).toMatch(/unauthorized|log in/i);
  });
});

describe("podman", skipWhere(missingAsRoot("podman")), () => {
  const podman = (...args: readonly string[]) =>
    runClient("podman", [...podmanOptions(scratch), ...args]);

  test("logs in, pulls, and is refused the rest", () => {
    const host = hostOf(deployment.edgeUrl);
    const how = ["--tls-verify=false", "--authfile", join(scratch, "auth.json")];
    const wrong = podman("login", ...how, "--username", "alice", "--password", "wrong", host);
    expect(wrong.code).not.toBe(0);
    expect(wrong.stderr).toMatch(/invalid username\/password/);
    const right = podman("login", ...how, "--username", "ci+robot", "--password", secret, host);
    expect(right.stdout).toMatch(/Login Succeeded/);
    const pulled = podman("pull", "--quiet", ...how, `${host}/htop`);
    expect(pulled.code, pulled.stderr).toBe(0);
    const refused = podman("pull", "--quiet", ...how, `${host}/git`);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/ci\+robot may not pull git|denied/);
  });
});

describe("Docker's engine", skipWhere(missingAsRoot("dockerd", "docker")), () => {
  let docker: Dockerd;
  beforeAll(async () => {
    docker = await startDockerd(join(scratch, "docker"));
  });
  afterAll(() => docker?.stop());

  test("logs in, pulls, and is refused the rest", async () => {
    const host = hostOf(deployment.edgeUrl);
    const login = (name: string, password: string) =>
      docker.command(["login", "--username", name, "--password-stdin", host], { input: password });
    await expect(login("alice", "wrong")).rejects.toThrow(/unauthorized/);
    await expect(docker.command(["pull", `${host}/htop`])).rejects.toThrow(/unauthorized|log in/);
    expect(await login("ci+robot", secret)).toMatch(/Login Succeeded/);
    await docker.command(["pull", "--quiet", `${host}/htop`]);
    await docker.command(["pull", "--quiet", `${host}/jq/htop`]);
    await expect(docker.command(["pull", `${host}/git`])).rejects.toThrow(/denied/);
    await docker.command(["logout", host]);
    await docker.command(["pull", "--quiet", `${host}/jq`]);
  });
});

describe("containerd", skipWhere(missingAsRoot("containerd", "ctr")), () => {
  let containerd: Containerd;
  beforeAll(async () => {
    containerd = await startContainerd(join(scratch, "containerd"));
  });
  afterAll(() => containerd?.stop());

  test("pulls with a name and a password, and without", async () => {
    const host = hostOf(deployment.edgeUrl);
    const unpack = (name: string, ...how: readonly string[]) =>
      containerd.unpack(`${host}/${name}:latest`, "access", ["--plain-http", ...how]);
    expect((await unpack("htop", "--user", `ci+robot:${secret}`)).size).toBeGreaterThan(1);
    expect((await unpack("jq")).size).toBeGreaterThan(1);
    await expect(unpack("git", "--user", `ci+robot:${secret}`)).rejects.toThrow(/403|denied/i);
    await expect(unpack("git")).rejects.toThrow(/401|authorization failed|unauthorized/i);
  });
});

describe("curl", skipWhere(missingClient("curl")), () => {
  test.for(PLACES)("needs no token at %s", async ([, urlOf]) => {
    const url = `${urlOf()}/v2/htop/manifests/latest`;
    const said = await run("curl", ["--silent", "--user", `alice:${PASSWORD}`, url]);
    expect(JSON.parse(said)).toMatchObject({ schemaVersion: 2 });
  });
});

test("an origin gives its edge what its own clients may not have", async () => {
  const [edge, origin] = await Promise.all([
    get(deployment.edgeUrl, "/v2/git/manifests/latest"),
    get(deployment.originUrl, "/v2/git/manifests/latest"),
  ]);
  expect([edge.status, origin.status]).toStrictEqual([401, 401]);
  const headers = { Authorization: `Basic ${btoa(`alice:${PASSWORD}`)}` };
  const given = await get(deployment.edgeUrl, "/v2/git/manifests/latest", { headers });
  expect(given.status, await given.text()).toBe(200);
});
