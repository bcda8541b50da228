// A package set that does not load, on real Nix: told as the set's fault, once; answered at the revision
// before while one is known to load; and served again as soon as it is mended, without a restart.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";
import { until } from "../images/gated-set.ts";
import { createRepository } from "../sources/git-repository.ts";

const limit = { timeout: 120_000 };
const BROKEN = "{\n  hello = 1;\n  hullo =\n";

interface Answer {
  readonly status: number;
  readonly warning: string;
  readonly retryAfter: string | null;
  readonly digest: string | null;
  readonly message: string;
  readonly detail: readonly Readonly<Record<string, unknown>>[];
}

async function ask(house: House, name: string): Promise<Answer> {
  const path = `/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`;
  const response = await house.request(path);
  const { errors = [] } = (await response.json()) as {
    errors?: readonly Pick<Answer, "message" | "detail">[];
  };
  return {
    status: response.status,
    warning: response.headers.get("Warning") ?? "",
    retryAfter: response.headers.get("Retry-After"),
    digest: response.headers.get("Docker-Content-Digest"),
    message: errors[0]?.message ?? "",
    detail: errors[0]?.detail ?? [],
  };
}

const loggedIn = (house: House) =>
  house.lines.filter(({ msg }) => msg === "the package set does not load");

describe("a package set that does not load", limit, () => {
  test("is told once, whatever was asked, with file and line, and logged", async () => {
    const folder = await temporaryDirectory(onTestFinished);
    const file = join(folder, "default.nix");
    await writeFile(file, BROKEN);
    const house = await startHouse(
      onTestFinished,
      folder,
      await temporaryDirectory(onTestFinished),
    );
    expect(house.origin.shortcoming ?? "").toMatch(
      /^the package set does not load: syntax error, unexpected end of file.*default\.nix:[34]:/,
    );
    house.forget();
    const answer = await ask(house, "hello/hullo/nested.inner");
    expect([answer.status, answer.retryAfter]).toStrictEqual([503, "60"]);
    expect(answer.message).toMatch(
      /^the package set does not load: syntax error, unexpected end of file[^\n]* \(default\.nix:[34]:\d+\)$/,
    );
    expect(answer.detail).toHaveLength(1);
    expect(answer.detail[0]).toMatchObject({ reason: "set-failed" });
    expect(loggedIn(house)).toHaveLength(1);
    expect(loggedIn(house)[0]).toMatchObject({ level: 50, kind: "set-failed" });

    // Of the fault nothing is remembered, at the very same revision: here it was Nix's.
    house.forget();
    expect((await ask(house, "hello")).status).toBe(503);
    expect(house.started.filter((each) => /instantiate/.test(each))).not.toStrictEqual([]);
    const set = await plantSet(onTestFinished);
    await writeFile(file, await readFile(join(set, "default.nix")));
    await house.pull("hello/hullo");
  });

  test("is answered for by the revision before, with the reason, until it is mended", async () => {
    const repository = await createRepository(onTestFinished);
    const set = await plantSet(onTestFinished);
    const sound = await readFile(join(set, "default.nix"), "utf8");
    await repository.commit(sound);
    const statePath = await temporaryDirectory(onTestFinished);
    const variables = { NIXERY_PKGS_PATH: "", NIXERY_PKGS_REPO: repository.path };
    const house = await startHouse(onTestFinished, set, statePath, variables);
    const before = await house.pull("hello");

    await repository.commit('if true then abort "requires Nix >= 2.99"\nelse { }');
    await noticeMove(house, 2);
    house.forget();
    const why = /latest has moved on; .*requires Nix >= 2\.99.*\(default\.nix:1/;
    for (const name of ["hello", "hullo"]) {
      const answer = await ask(house, name);
      expect([answer.status, answer.message], name).toStrictEqual([200, ""]);
      expect(answer.warning).toMatch(why);
      expect(answer.warning).toMatch(/^299 - "nixport: [ !#-[\]-~]*"$/);
    }
    expect((await ask(house, "hello")).digest).toBe(before.digest);
    // As skopeo inspect asks, before it pulls.
    const tags = await house.request(`/v2/${REPOSITORY_PREFIX}hello/tags/list`);
    expect(tags.status).toBe(200);
    // A name that neither has is the set's fault as far as anybody can tell.
    expect((await ask(house, "nosuchthing")).status).toBe(503);
    expect(loggedIn(house).length).toBeGreaterThan(0);

    // Known after a restart too.
    await house.origin.close();
    const restarted = await startHouse(onTestFinished, set, statePath, variables);
    expect((await ask(restarted, "hello")).warning).toMatch(why);

    await repository.commit(`${sound} // { more = 1; }`);
    await noticeMove(restarted, 3);
    const { status, warning } = await ask(restarted, "hello");
    expect([status, warning]).toStrictEqual([200, ""]);
  });

  test("is answered for by what a local folder held before", async () => {
    const set = await plantSet(onTestFinished);
    const file = join(set, "default.nix");
    const sound = await readFile(file, "utf8");
    const house = await startHouse(onTestFinished, set, await temporaryDirectory(onTestFinished));
    const before = await house.pull("hello");
    await writeFile(file, BROKEN);
    const answer = await ask(house, "hello");
    expect([answer.status, answer.digest]).toStrictEqual([200, before.digest]);
    expect(answer.warning).toMatch(/the package set does not load: syntax error/);
    await writeFile(file, sound);
    expect((await ask(house, "hello")).warning).toBe("");
  });
});

/** Long enough that the tag is asked for again, behind an answer. */
async function noticeMove(house: House, moves: number): Promise<void> {
  house.pass(600_000 * moves);
  await ask(house, "hello");
  await until("the tag has moved", () => house.lines.some(({ msg }) => msg === "tag moved"));
  // Until then the earlier revision answers just because the image is still to be made.
  await house.origin.refreshed();
}

describe("a package set without cacert and iana-etc", limit, () => {
  test("serves all the same, without SSL_CERT_FILE", async () => {
    const set = await plantSet(onTestFinished);
    const folder = await temporaryDirectory(onTestFinished);
    await writeFile(
      join(folder, "default.nix"),
      `removeAttrs (import ${set}) [ "cacert" "iana-etc" ]`,
    );
    const house = await startHouse(
      onTestFinished,
      folder,
      await temporaryDirectory(onTestFinished),
    );
    const { manifest } = await house.pull("hello");
    const config = await house.request(`/v2/hello/blobs/${manifest.config.digest}`);
    const { config: run } = (await config.json()) as { config: { Env: readonly string[] } };
    expect(run.Env.some((each) => each.startsWith("SSL_CERT_FILE="))).toBe(false);
    const { status, message } = await ask(house, "cacert");
    expect([status, message]).toStrictEqual([404, "no package cacert\nno package iana-etc"]);
  });
});
