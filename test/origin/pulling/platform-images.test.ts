// Indexes of real derivations for two platforms, through the origin as it is started. The contents
// are text, so that any machine builds them for any platform.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../../registry/image/media-type.ts";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, startHouse } from "../house.ts";
import { SHELL_BUILDER } from "../nix/sandbox-shell.ts";

const TAKES_INDEX = `${OCI_MANIFEST}, ${OCI_INDEX}`;
const atEnd = endOfFile();
let house: House;

/** `salt` makes everything build anew. */
function packageSet(salt: string): string {
  return `{ system }: let
    isArm = system == "aarch64-linux";
    make = name: script: derivation {
      name = "\${name}-1.0"; system = builtins.currentSystem; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
      salt = "${salt}"; for = system; args = [ "-c" script ];
    } // { inherit system; version = "1.0"; };
    text = name: make name "mkdir -p $out/bin; echo $for > $out/bin/\${name}";
    elsewhere = name: {
      type = "derivation"; inherit name; meta.platforms = [ "x86_64-linux" ];
      outPath = throw "not for \${system}"; drvPath = throw "not for \${system}";
    };
  in {
    cacert = text "nss-cacert";
    iana-etc = text "iana-etc";
    hello = text "hello";
    failing = if isArm then make "failing" "echo it went wrong; exit 7" else text "failing";
    throwing = if isArm then throw "no such luck" else text "throwing";
    refused = if isArm then elsewhere "refused" else text "refused";
  } // (if isArm then { arm-only = text "arm-only"; } else { intel-only = text "intel-only"; })`;
}

beforeAll(async () => {
  const setPath = await temporaryDirectory(atEnd);
  await writeFile(join(setPath, "default.nix"), packageSet(setPath));
  const settings = { NIXPORT_PLATFORMS: "linux/amd64,linux/arm64" };
  house = await startHouse(atEnd, setPath, await temporaryDirectory(atEnd), settings);
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly digest: string | null;
  readonly json: {
    readonly mediaType: string;
    readonly manifests: readonly {
      readonly digest: string;
      readonly mediaType: string;
      readonly platform: { readonly os: string; readonly architecture: string };
    }[];
    readonly annotations?: Readonly<Record<string, string>>;
    readonly config: { readonly digest: string };
    readonly errors: readonly [
      { readonly code: string; readonly message: string; detail: unknown },
    ];
  };
}

async function ask(
  name: string,
  accept = TAKES_INDEX,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const path = `/v2/${name}/manifests/latest`;
  const response = await house.request(path, { headers: { ...headers, Accept: accept } });
  const digest = response.headers.get("Docker-Content-Digest");
  return {
    ...{ status: response.status, headers: response.headers, digest },
    json: (await response.json()) as Answer["json"],
  };
}

describe("a name without a platform, of two that are configured", () => {
  test("is an index of the images that the name has with each of them", async () => {
    const { json, headers } = await ask("hello");
    const images = await Promise.all([ask("amd64/hello"), ask("arm64/hello")]);
    expect(headers.get("Content-Type")).toBe(OCI_INDEX);
    expect(headers.get("Nixport-Pin") ?? "").toMatch(/^path-/);
    expect(
      json.manifests.map(({ digest, platform }) => [digest, platform.os, platform.architecture]),
    ).toStrictEqual([
      [images[0].digest, "linux", "amd64"],
      [images[1].digest, "linux", "arm64"],
    ]);
    for (const [place, architecture] of ["amd64", "arm64"].entries()) {
      const { config } = images[place]?.json ?? expect.unreachable();
      const response = await house.request(`/v2/x/blobs/${config.digest}`);
      expect(((await response.json()) as { architecture: string }).architecture).toBe(architecture);
    }
  });

  test("is served by HEAD, by digest and to one who has it as manifests are", async () => {
    const { digest } = await ask("hello");
    const path = "/v2/hello/manifests/latest";
    const head = await house.request(path, { method: "HEAD", headers: { Accept: TAKES_INDEX } });
    expect(head.headers.get("Docker-Content-Digest")).toBe(digest);
    const known = { Accept: TAKES_INDEX, "If-None-Match": `"${digest}"` };
    expect((await house.request(path, { headers: known })).status).toBe(304);
    const byDigest = await house.request(`/v2/hello/manifests/${digest}`, {
      headers: { Accept: OCI_MANIFEST },
    });
    expect(byDigest.headers.get("Content-Type")).toBe(OCI_INDEX);
    expect(byDigest.headers.get("Vary")).toBeNull();
  });

  test("is a Docker manifest list of Docker's manifests for a client of those", async () => {
    const { json } = await ask("hello", `${DOCKER_MANIFEST}, ${DOCKER_MANIFEST_LIST}`);
    expect(json.mediaType).toBe(DOCKER_MANIFEST_LIST);
    expect(json.manifests.map(({ mediaType }) => mediaType)).toStrictEqual([
      DOCKER_MANIFEST,
      DOCKER_MANIFEST,
    ]);
  });

  test("is the first platform's image for a client that takes no index", async () => {
    const first = await ask("amd64/hello", OCI_MANIFEST);
    expect((await ask("hello", OCI_MANIFEST)).digest).toBe(first.digest);
  });

  test("is the first image that can be had for a client that takes no index", async () => {
    const only = await ask("arm64/arm-only", OCI_MANIFEST);
    expect((await ask("arm-only", OCI_MANIFEST)).digest).toBe(only.digest);
  });

  test("is for the platforms that the edge asks for, if it does", async () => {
    const asked = { "Nixport-Platforms": "linux/arm64" };
    const { digest } = await ask("hello", TAKES_INDEX, asked);
    expect(digest).toBe((await ask("arm64/hello")).digest);
  });
});

describe("a package that one platform does not have", () => {
  const rows: readonly [name: string, omitted: string, reason: RegExp][] = [
    ["intel-only/hello", "arm64", /^no package intel-only/],
    ["refused", "arm64", /^refused does not support aarch64-linux$/],
    ["arm-only", "amd64", /^no package arm-only/],
  ];
  test.for(rows)(
    "leaves $1 out of the index of $0, which says so",
    async ([name, omitted, reason]) => {
      const { json, headers } = await ask(name);
      const platforms = json.manifests.map(({ platform }) => platform.architecture);
      expect(platforms).toStrictEqual([omitted === "arm64" ? "amd64" : "arm64"]);
      const said = json.annotations?.[`nixport.omitted.linux.${omitted}`] ?? "";
      expect(said).toMatch(reason);
      expect(headers.get("Nixport-Omitted")).toBe(`linux/${omitted}="${said}"`);
    },
  );

  test("is said in a header alone where there are no annotations", async () => {
    const { json, headers } = await ask("refused", `${DOCKER_MANIFEST}, ${DOCKER_MANIFEST_LIST}`);
    expect(json.manifests).toHaveLength(1);
    expect(json.annotations).toBeUndefined();
    expect(headers.get("Nixport-Omitted") ?? "").toMatch(/^linux\/arm64="refused does not support/);
  });
});

describe("no image", () => {
  test("of a package that no platform has: the reason once", async () => {
    const { status, json } = await ask("nowhere");
    expect([status, json.errors[0].code]).toStrictEqual([404, "MANIFEST_UNKNOWN"]);
    expect(json.errors[0].message).toMatch(/^no package nowhere/);
    expect(json.errors[0].message).not.toMatch(/linux/);
  });

  test("of packages that no platform has together: each platform's reason", async () => {
    for (const accept of [TAKES_INDEX, OCI_MANIFEST]) {
      const { status, json } = await ask("arm-only/intel-only", accept);
      expect(status).toBe(404);
      expect(json.errors[0].message).toMatch(/linux\/amd64: no package arm-only/);
      expect(json.errors[0].message).toMatch(/linux\/arm64: no package intel-only/);
      expect(
        (json.errors[0].detail as { platform: string }[]).map(({ platform }) => platform),
      ).toStrictEqual(["linux/amd64", "linux/arm64"]);
    }
  });

  const failures: readonly [name: string, message: RegExp][] = [
    ["failing", /^linux\/arm64: failing cannot be built.*it went wrong/s],
    ["throwing", /^linux\/arm64: throwing cannot be evaluated.*no such luck/],
  ];
  test.for(failures)(
    "of %s, which fails on one platform only; the other can be had by its name",
    async ([name, message]) => {
      const { status, json } = await ask(name);
      expect(status).toBe(404);
      expect(json.errors[0].message).toMatch(message);
      expect((await ask(`amd64/${name}`)).status).toBe(200);
    },
  );
});
