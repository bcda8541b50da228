// Every client that there is against one edge: by tag, by digest, for another platform than the
// machine's, logged in where that is asked for, and all the same with the origin gone. The table of
// docs/clients.md comes of it.

import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { hashPassword } from "../../registry/access/password.ts";
import { VARIANT_HEADER } from "../../registry/http/negotiation.ts";
import { FORMS } from "../../registry/image/record.ts";
import { VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { ARCHITECTURES, type Architecture } from "../../registry/naming/recipe.ts";
import { markdownTable, readTable, WRITES_TABLES, writeTable } from "../client-tables.ts";
import { SHELL_BUILDER } from "../origin/nix/sandbox-shell.ts";
import { skipWhere } from "../skip-where.ts";
import { get, type PulledManifest, pullManifest } from "./clients.ts";
import { removeStorage } from "./daemon.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";
import { type RegistryProxy, startProxy } from "./proxy.ts";
import { PULLING_CLIENTS, type StartedClient } from "./pulling-clients.ts";

const COLUMNS = ["by tag", "by digest", "other platform", "logged in", "origin gone"] as const;
type Column = (typeof COLUMNS)[number];
const NAME = "greeting";
const PAGE = "docs/clients.md";
const ACCOUNT = { user: "alice", password: "correct horse" };
const OWN: Architecture = process.arch === "arm64" ? "arm64" : "amd64";
/** As they say it: by the status, by its name, or in the registry's own words. */
const REFUSED = /401|unauthorized|log in|authorization failed/i;
const OTHER: Architecture = OWN === "amd64" ? "arm64" : "amd64";
const SYSTEM = process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux";

/** This machine makes what is for the other platform as well: it is a text. */
const SET = `{ system, ... }: let
  make = name: path: derivation {
    inherit name; system = "${SYSTEM}"; for = system; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
    args = [ "-c" "mkdir -p $out/$(dirname \${path}); echo $for > $out/\${path}; chmod 755 $out/\${path}" ];
  } // { inherit system; version = "1.0"; meta.license.spdxId = "MIT"; };
in {
  cacert = make "nss-cacert-1.0" "etc/ssl/certs/ca-bundle.crt";
  iana-etc = make "iana-etc-1.0" "etc/protocols";
  ${NAME} = make "${NAME}-1.0" "bin/${NAME}";
}
`;

interface Image {
  readonly variant: Variant;
  readonly architecture: Architecture;
  readonly blobs: readonly string[];
}

let scratch: string;
let deployment: Deployment;
let origin: Part;
/** In front of the edge: it notes what was fetched. */
let proxy: RegistryProxy;
/** Another edge of the same origin, which lets nobody in who does not log in. */
let shut: Deployment;
let shutProxy: RegistryProxy;
/** Of both platforms in all forms, by the digests of their manifests. */
const images = new Map<string, Image>();
const started = new Map<string, StartedClient>();
/** What each client was seen to do, and in which version. */
const seen = new Map<string, { readonly version: string; readonly what: Set<Column> }>();

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "nixport-every-client-"));
  const packages = join(scratch, "set");
  await mkdir(packages);
  await writeFile(join(packages, "default.nix"), SET);
  const env = {
    NIXPORT_PLATFORMS: "linux/amd64,linux/arm64",
    NIXPORT_SECRET: "a secret of these tests",
  };
  deployment = await deploy({ packages, env });
  const { port: PORT } = new URL(deployment.originUrl);
  shut = await deploy({ packages, env: { ...env, PORT, NIXPORT_POLICY: await policy() } });
  const edges = [deployment.startEdge(), shut.startEdge()];
  origin = await deployment.startOrigin();
  await Promise.all(edges);
  proxy = await startProxy(deployment.edgeUrl);
  shutProxy = await startProxy(shut.edgeUrl);
  for (const variant of VARIANTS) {
    for (const architecture of ARCHITECTURES) {
      const { digest, config, layers } = await pullForm(`${architecture}/${NAME}`, variant);
      const blobs = [config, ...layers].map((blob) => blob.digest);
      images.set(digest, { variant, architecture, blobs });
    }
  }
  for (const client of PULLING_CLIENTS.filter(({ missing }) => missing === false)) {
    const folder = join(scratch, client.name.replace(/\W+/g, "-"));
    await mkdir(folder);
    const running = await client.start(folder);
    started.set(client.name, running);
    seen.set(client.name, { version: running.version, what: new Set() });
  }
});

afterAll(async () => {
  for (const client of started.values()) await client.stop?.();
  for (const each of [shutProxy, proxy, shut, deployment]) await each?.close();
  if (scratch) await removeStorage(scratch);
});

async function policy(): Promise<string> {
  const { user, password } = ACCOUNT;
  return JSON.stringify({ users: { [user]: { password: await hashPassword(password, 1000) } } });
}

async function pullForm(name: string, variant: Variant): Promise<PulledManifest> {
  const headers = { [VARIANT_HEADER]: variant };
  const tagged = await get(deployment.edgeUrl, `/v2/${name}/manifests/latest`, { headers });
  const text = await tagged.text();
  assert(tagged.ok, text);
  return pullManifest(deployment.edgeUrl, `${name}@${tagged.headers.get("Docker-Content-Digest")}`);
}

const hostOf = ({ url }: RegistryProxy) => new URL(url).host;

function clientOf(name: string): StartedClient {
  const client = started.get(name);
  assert(client);
  return client;
}

/** Has a client pull, and looks whether it fetched all of the image for a platform. */
async function pulls(
  name: string,
  reference: string,
  architecture?: Architecture,
  through = proxy,
): Promise<void> {
  const from = through.answers.length;
  await clientOf(name).pull(`${hostOf(through)}/${reference}`, architecture);
  const fetched = new Set(through.answers.slice(from).map(({ digest }) => digest));
  const wanted = architecture ?? OWN;
  // Of manifests Docker's engine keeps what it has forgotten the image of.
  const isWhole = (image: Image) =>
    image.architecture === wanted && image.blobs.every((blob) => fetched.has(blob));
  const whole = [...images.values()].filter(isWhole);
  expect(whole.length, `of the image for ${wanted} it fetched ${[...fetched]}`).toBeGreaterThan(0);
}

/** Of the machine's own image, in the form that every client reads. */
function ownDigest(): string {
  const isOwn = ({ variant, architecture }: Image) =>
    variant === "oci-gzip" && architecture === OWN;
  const found = [...images].find(([, image]) => isOwn(image));
  assert(found);
  return found[0];
}

const WAYS: readonly (readonly [what: Column, pull: (client: string) => Promise<void>])[] = [
  ["by tag", (client) => pulls(client, `${NAME}:latest`)],
  ["by digest", (client) => pulls(client, `${NAME}@${ownDigest()}`)],
  ["other platform", (client) => pulls(client, `${NAME}:latest`, OTHER)],
];

describe.each(PULLING_CLIENTS)("$name", ({ name, missing }) => {
  test.for(WAYS)("pulls, %s", skipWhere(missing), async ([what, pull]) => {
    await pull(name);
    seen.get(name)?.what.add(what);
  });

  test("is let in when it has logged in, and not before", skipWhere(missing), async () => {
    const pull = (reference: string) => pulls(name, reference, undefined, shutProxy);
    await expect(pull(`${NAME}:latest`)).rejects.toThrow(REFUSED);
    await clientOf(name).login(hostOf(shutProxy), ACCOUNT);
    for (const reference of [`${NAME}:latest`, `${NAME}@${ownDigest()}`]) await pull(reference);
    seen.get(name)?.what.add("logged in");
  });
});

describe("with the origin gone", () => {
  beforeAll(async () => {
    const given = () => origin.log.filter(({ msg }) => msg === "backfilled").length;
    // What has the layers of one form in both kinds of manifest, the edge composes.
    await origin.waitFor(() => given() >= FORMS.length * ARCHITECTURES.length);
    await origin.stop("SIGKILL");
  });

  describe.each(PULLING_CLIENTS)("$name", ({ name, missing }) => {
    test("pulls in all these ways", skipWhere(missing), async () => {
      for (const [, pull] of WAYS) await pull(name);
      seen.get(name)?.what.add("origin gone");
    });
  });
});

function rowOf(client: string): readonly string[] | undefined {
  const found = seen.get(client);
  const cells = COLUMNS.map((column) => (found?.what.has(column) ? "yes" : "no"));
  return found && [client, found.version, ...cells];
}

test(`${PAGE} says what each client was seen to do`, () => {
  const rows = PULLING_CLIENTS.flatMap(({ name }) => [rowOf(name) ?? []]).filter(
    (row) => row.length > 0,
  );
  if (WRITES_TABLES) {
    writeTable(PAGE, "pulling", markdownTable([["client", "version", ...COLUMNS], ...rows]));
  }
  const lines = readTable(PAGE, "pulling").split("\n").slice(2);
  const told = lines.map((line) => line.slice(2, -2).split(" | "));
  for (const row of rows) {
    const [client, version] = row;
    const own = told.find(([other]) => other === client);
    // Of another version than the one that the page tells of, that it does as much.
    expect(own?.slice(2), `${client} ${version}`).toStrictEqual(row.slice(2));
  }
});
