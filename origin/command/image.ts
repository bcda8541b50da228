// The builder of nix/image.nix: runs inside a derivation, and reads what Nix hands over to one.

import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildLayout } from "../oci-layout/build.ts";
import { readBuildRequest } from "../oci-layout/request.ts";

const { NIX_ATTRS_JSON_FILE = "", NIX_BUILD_CORES } = process.env;
// Nix 2.8 names the file where it is outside the sandbox. It lies in the folder that a build starts in.
const attributes = existsSync(NIX_ATTRS_JSON_FILE) ? NIX_ATTRS_JSON_FILE : ".attrs.json";
const read = await readBuildRequest(attributes);
if (read.kind === "invalid") fail(read.reason);
const result = await buildLayout(read.request, {
  workPath: await mkdtemp(join(tmpdir(), "nixport-image-")),
  workers: Number(NIX_BUILD_CORES) || null,
  log: (line) => process.stderr.write(`${line}\n`),
});
if (result.kind === "failed") fail(result.reason);

function fail(reason: string): never {
  process.stderr.write(`nixport: ${reason}\n`);
  process.exit(1);
}
