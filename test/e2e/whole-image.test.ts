// Whole images that a package set defines, pulled through the edge: beside Debian's packages.

import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../skip-where.ts";
import { get, missingClient, podmanReset, podmanRun, pullManifest } from "./clients.ts";
import { DEBIAN_SET, type Deployment, deploy, type Part } from "./deployment.ts";
import { blocksOf } from "./recipes.ts";

let deployment: Deployment;
let origin: Part;
let scratch: string;

/** The Debian set, and two images of its packages and of files of one's own. */
async function plantImages(folder: string): Promise<void> {
  await mkdir(join(folder, "site/srv"), { recursive: true });
  await writeFile(join(folder, "site/srv/index.html"), "<p>hello\n");
  await writeFile(
    join(folder, "default.nix"),
    `{ system ? builtins.currentSystem, ... }:
    let debian = import ${await realpath(DEBIAN_SET)} { inherit system; };
    in debian // {
      nixportImages = {
        site = {
          contents = [ "jq" debian.nano ./site ];
          config = {
            Entrypoint = [ "/bin/jq" ];
            Cmd = [ "--raw-input" "." "/srv/index.html" ];
            Env = [ "SITE=/srv" ];
            User = "65534:65534";
            WorkingDir = "/srv";
            ExposedPorts."8080/tcp" = { };
            Labels."org.example.team" = "web";
          };
        };
        tools.contents = [ "htop" "jq" ];
        documented = (import ./documented { inherit system; }).nixportImages.site;
        wrong = { contents = [ "jqq" ]; };
      };
    }`,
  );
}

/** The example of docs/images.md, with what it is written for: a server that says what it was told. */
async function plantDocumented(folder: string): Promise<void> {
  await mkdir(join(folder, "site/srv"), { recursive: true });
  await writeFile(join(folder, "site/srv/index.html"), "<p>documented\n");
  await writeFile(join(folder, "nginx.conf"), "events { }\n");
  const example = blocksOf("images.md").find(({ place: [, language] }) => language === "nix");
  await writeFile(join(folder, "default.nix"), example?.text ?? "");
  await writeFile(
    join(folder, "packages.nix"),
    `{ system, ... }:
    let debian = import ${await realpath(DEBIAN_SET)} { inherit system; };
    in debian // {
      nginx = derivation {
        name = "nginx";
        inherit system;
        builder = "\${debian.busybox}/bin/sh";
        args = [ "-c" ''
          $busybox mkdir -p $out/bin
          echo "$script" > $out/bin/nginx
          $busybox chmod 755 $out/bin/nginx
        '' ];
        script = ''
          #!\${debian.bash}/bin/sh
          echo $1 $3 $4
          while read line; do echo $line; done <$2
        '';
        busybox = "\${debian.busybox}/bin/busybox";
      };
    }`,
  );
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-images-"));
  const setPath = join(scratch, "set");
  await plantImages(setPath);
  await plantDocumented(join(setPath, "documented"));
  deployment = await deploy({ packages: setPath });
  [origin] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
});

afterAll(async () => {
  await deployment?.close();
  if (missingClient("podman") === false) podmanReset(scratch);
  await rm(scratch, { recursive: true, force: true });
});

async function configOf(image: string): Promise<Record<string, unknown>> {
  const { config } = await pullManifest(deployment.edgeUrl, image);
  const response = await get(deployment.edgeUrl, `/v2/any/blobs/${config.digest}`);
  const { config: run } = (await response.json()) as { config: Record<string, unknown> };
  return run;
}

describe("a whole image", { timeout: 240_000 }, () => {
  test("is pulled by its name, with its config over what every image has", async () => {
    const { Env, Labels, ...config } = await configOf("site");
    expect(config).toStrictEqual({
      Entrypoint: ["/bin/jq"],
      Cmd: ["--raw-input", ".", "/srv/index.html"],
      User: "65534:65534",
      WorkingDir: "/srv",
      ExposedPorts: { "8080/tcp": {} },
    });
    expect(Env as readonly string[]).toContain("SITE=/srv");
    expect((Labels as Record<string, string>)["org.example.team"]).toBe("web");
  });

  const skip = missingClient("podman");
  test("runs what its config says, on its files, as its user", skipWhere(skip), () => {
    const { code, stdout, stderr } = podmanRun(scratch, deployment.edgeUrl, "site", []);
    expect(code, stderr).toBe(0);
    expect(stdout).toBe('"<p>hello"\n');
  });

  test("is what the page of images has for an example", skipWhere(skip), async () => {
    const { ExposedPorts, User } = await configOf("documented");
    expect({ ExposedPorts, User }).toStrictEqual({
      ExposedPorts: { "8080/tcp": {} },
      User: "65534:65534",
    });
    const name = "documented";
    const { code, stdout, stderr } = podmanRun(scratch, deployment.edgeUrl, name, []);
    expect(code, stderr).toBe(0);
    expect(stdout).toBe("-c -g daemon off;\nevents { }\n");
  });

  test("shares its layers with an image of the same packages", async () => {
    const image = await pullManifest(deployment.edgeUrl, "site");
    const packages = await pullManifest(deployment.edgeUrl, "jq/nano");
    const digests = new Set(image.layers.map(({ digest }) => digest));
    const others = packages.layers.filter(({ digest }) => !digests.has(digest));
    expect(others).toStrictEqual([]);
  });

  test("is refused together with another", async () => {
    const response = await get(deployment.edgeUrl, "/v2/site/tools/manifests/latest");
    expect(response.status).toBe(404);
    expect(await response.text()).toMatch(
      /nixportImages\.site and nixportImages\.tools are whole images/,
    );
  });

  test("that is defined wrongly is refused by the name of what is wrong", async () => {
    const response = await get(deployment.edgeUrl, "/v2/wrong/manifests/latest");
    expect(response.status).toBe(404);
    expect(await response.text()).toMatch(
      /nixportImages\.wrong\.contents: no package jqq \(did you mean jq/,
    );
  });

  test("is composed at the edge with packages that it has never been pulled with", async () => {
    for (const name of ["curl", "site"]) {
      // At the origin, which says when the edge has been given it.
      await pullManifest(deployment.originUrl, name);
      const recipe = ["cacert", "iana-etc", name].sort().join("/");
      await origin.waitFor((line) => line.msg === "backfilled" && line.recipe === recipe);
    }
    await origin.stop();
    const { headers, config } = await pullManifest(deployment.edgeUrl, "curl/site");
    expect(headers.get("Cache-Status") ?? "").toMatch(/detail=composed/);
    const response = await get(deployment.edgeUrl, `/v2/any/blobs/${config.digest}`);
    const { config: run } = (await response.json()) as { config: { Entrypoint: string[] } };
    expect(run.Entrypoint).toStrictEqual(["/bin/jq"]);
  });
});
