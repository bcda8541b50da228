// A package set that any Nix builds, in any sandbox, with nothing but a shell: and what an image of it
// must hold.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect } from "vitest";
import { DOCKER_MANIFEST } from "../../registry/image/media-type.ts";
import { SYSTEM } from "../origin/nix/fixture.ts";

/** Only what a shell has built in: a sandbox brings no programs. */
const packageSet = (salt: string) => `let
  make = name: text: derivation {
    inherit name; system = "${SYSTEM}"; builder = "/bin/sh"; salt = "${salt}";
    args = [ "-c" "echo '\${text}' > $out" ];
  } // { meta.license.spdxId = "MIT"; };
in {
  cacert = make "nss-cacert-1.0" "certificates";
  iana-etc = make "iana-etc-1.0" "services";
  hello = make "hello-1.0" "built here: hello";
  # Files whose links an image shows at its root.
  site = builtins.path { name = "site-1.0"; path = ./site; };
  nixportImages.page.contents = [ "hello" ./site ];
}
`;

/** Into a folder of a machine's, by that folder's place here. What is built depends on the place. */
export async function plantSmallSet(folder: string): Promise<void> {
  await mkdir(join(folder, "site/share"), { recursive: true });
  await writeFile(join(folder, "default.nix"), packageSet(folder));
  await writeFile(join(folder, "site/share/page"), `a page of ${folder}`);
}

/** Pulls an image of the set as a client does, and looks into its layers. */
export async function assertPulls(originUrl: string): Promise<void> {
  const name = `v2/${SYSTEM.startsWith("aarch64") ? "arm64/" : ""}hello/page`;
  const headers = { accept: DOCKER_MANIFEST };
  const response = await fetch(`${originUrl}/${name}/manifests/latest`, { headers });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const { layers } = JSON.parse(text) as { layers: readonly { readonly digest: string }[] };
  const tars = await Promise.all(
    layers.map(async ({ digest }) => {
      const blob = await fetch(`${originUrl}/${name}/blobs/${digest}`);
      expect(blob.status).toBe(200);
      const bytes = Buffer.from(await blob.arrayBuffer());
      return gunzipSync(bytes).toString("latin1");
    }),
  );
  const all = tars.join("");
  for (const part of [/nix\/store\/[0-9a-z]{32}-hello-1\.0\0/, /built here: hello/, /a page of/]) {
    expect(all).toMatch(part);
  }
  expect(all).toMatch(/\0share\/page\0/);
}
