// The builder of nix/image.nix: runs inside a derivation, and reads what Nix hands over to one.

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildLayout } from "../layout/build.ts";
import { readBuildRequest } from "../layout/request.ts";

const { NIX_ATTRS_JSON_FILE = ".attrs.json", NIX_BUILD_CORES } = process.env;
const read = await readBuildRequest(NIX_ATTRS_JSON_FILE);
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
