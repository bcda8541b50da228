// What lookUp says of the images that a package set defines under `nixportImages`.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { type Lookup, outputPathsOf } from "../../../registry/image/lookup.ts";
import type { Ending } from "../fixture.ts";
import { derivation, pinPath, SYSTEM, tempDir, testNix } from "./fixture.ts";

const nix = await testNix();
const never = AbortSignal.any([]);

const SET = `rec {
  good = ${derivation("good-1.0", "echo > $out")} // { meta.mainProgram = "good"; };
  lib = ${derivation("lib-2.0", "mkdir $out $dev", 'outputs = [ "out" "dev" ];')};
  unfree = { type = "derivation"; name = "unfree-1"; meta.unfree = true; outPath = throw "no"; };
  both = good;
  nixportImages = {
    web = {
      contents = [ "good" lib ./files ];
      config = { Cmd = [ "/bin/good" "--port" "80" ]; ExposedPorts."80/tcp" = { }; };
    };
    Mixed = { contents = [ good ]; };
    both = { contents = [ lib ]; };
    empty = { };
    naming.config.Cmd = [ "\${lib.dev}/x" (builtins.toFile "app.conf" "x") ];
    twice = { contents = [ good ]; config.Cmd = [ "\${good}" ]; };
    notSet = "text";
    field = { content = [ ]; };
    notList = { contents = "good"; };
    missing = { contents = [ "god" ]; };
    refused = { contents = [ unfree ]; };
    number = { contents = [ 1 ]; };
    config.config.cmd = "x";
    notConfig.config = [ ];
    ports.config.ExposedPorts = builtins.listToAttrs
      (builtins.genList (n: { name = "port-\${toString n}"; value = { }; }) 200);
    throwing = throw "not today";
    inside = { contents = [ (throw "gone today") ]; };
  };
}`;

async function said(onEnd: Ending, ...names: readonly string[]): Promise<readonly Lookup[]> {
  const dir = await tempDir(onEnd);
  await writeFile(join(dir, "default.nix"), SET);
  await mkdir(join(dir, "files/etc"), { recursive: true });
  await writeFile(join(dir, "files/etc/app.conf"), "one\n");
  const lookups = await lookUp(nix, await pinPath(nix, dir), SYSTEM, names, never);
  return lookups.map(({ lookup }) => lookup as Lookup);
}

const basesOf = (lookup: Lookup | undefined) => {
  assert(lookup?.kind === "image", JSON.stringify(lookup));
  return outputPathsOf(lookup).map((path) => path.slice("/nix/store/".length + 33));
};

describe("an image of a package set", () => {
  test("is its contents, each like a package, and its config", async () => {
    const [web] = await said(onTestFinished, "web");
    expect(basesOf(web)).toStrictEqual(["good-1.0", "lib-2.0", "files"]);
    assert(web?.kind === "image");
    expect(web.attribute).toBe("nixportImages.web");
    expect(web.config).toStrictEqual({
      Cmd: ["/bin/good", "--port", "80"],
      ExposedPorts: { "80/tcp": {} },
    });
    expect(web.contents[0]?.mainProgram).toBe("good");
    expect(web.contents[2]?.derivation).toBe(web.contents[2]?.outputs[0]?.path);
  });

  test("is found in any case, before a package of its name, and beside packages", async () => {
    const [mixed, both, good, empty] = await said(onTestFinished, "mixed", "both", "good", "empty");
    expect(basesOf(mixed)).toStrictEqual(["good-1.0"]);
    expect(basesOf(both)).toStrictEqual(["lib-2.0"]);
    expect(good?.kind).toBe("found");
    expect(basesOf(empty)).toStrictEqual([]);
  });

  test("is named where a name comes near it", async () => {
    const [missing] = await said(onTestFinished, "wbe");
    expect(missing).toStrictEqual({ kind: "missing", near: ["web"] });
  });

  test("holds what its config names, once", async () => {
    const [naming, twice] = await said(onTestFinished, "naming", "twice");
    expect([...basesOf(naming)].sort()).toStrictEqual(["app.conf", "lib-2.0-dev"]);
    expect(basesOf(twice)).toStrictEqual(["good-1.0"]);
  });

  const wrong: readonly [name: string, attribute: string, reason: RegExp][] = [
    ["notset", "nixportImages.notSet", /^is a string, not a set of contents and config$/],
    ["field", "nixportImages.field", /^has content, and takes contents and config$/],
    ["notlist", "nixportImages.notList", /^contents is a string, not a list$/],
    ["missing", "nixportImages.missing.contents", /^no package god \(did you mean good/],
    ["refused", "nixportImages.refused.contents", /^unfree-1 has an unfree licence/],
    ["number", "nixportImages.number.contents", /is a int, not a package/],
    ["config", "nixportImages.config.config", /^cmd: /],
    ["notconfig", "nixportImages.notConfig.config", /^is a list, not a set$/],
  ];
  test("that is defined wrongly is a failure which names the attribute", async () => {
    const lookups = await said(onTestFinished, ...wrong.map(([name]) => name));
    for (const [index, [name, attribute, reason]] of wrong.entries()) {
      const lookup = lookups[index];
      assert(lookup?.kind === "bad-image", `${name}: ${JSON.stringify(lookup)}`);
      expect(lookup.attribute).toBe(attribute);
      expect(lookup.reason).toMatch(reason);
    }
  });

  test("that is wrong in many places says so at no more length than is read", async () => {
    const [ports] = await said(onTestFinished, "ports");
    assert(ports?.kind === "bad-image", JSON.stringify(ports));
    expect(ports.reason).toMatch(/^ExposedPorts\.port-0: not a port.*…$/);
    expect(ports.reason).toHaveLength(1000);
  });

  test("that does not evaluate says why, and hides no other", async () => {
    const [throwing, inside, good] = await said(onTestFinished, "throwing", "inside", "mixed");
    assert(throwing?.kind === "evaluation-failed" && inside?.kind === "evaluation-failed");
    expect(throwing.message).toMatch(/not today/);
    expect(inside.message).toMatch(/gone today/);
    expect(good?.kind).toBe("image");
  });
});
