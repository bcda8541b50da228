// What a policy is, what is wrong with one, and what its rules say of images.

import { readFileSync } from "node:fs";
import { assert, describe, expect, test } from "vitest";
import type { Meaning } from "../../../registry/access/meaning.ts";
import { meaningOf } from "../../../registry/access/meaning.ts";
import { makeSecret } from "../../../registry/access/password.ts";
import { mayPull, type Reach, reachOf, type Visitor } from "../../../registry/access/rules.ts";
import { type AccessSettings, parseAccess } from "../../../registry/access/settings.ts";
import { canonicalImageOf } from "../../../registry/image/canonical.ts";
import type { Found, FoundImage } from "../../../registry/image/lookup.ts";
import { namesOf } from "../../../registry/naming/recipe.ts";
import { foundOf, pinOf, recipeOf } from "../fixture.ts";

const { hash } = await makeSecret();
const PIN = pinOf("1".repeat(40));

function settingsOf(policy: unknown): AccessSettings {
  const parsed = parseAccess(JSON.stringify(policy));
  assert(parsed.kind === "access", JSON.stringify(parsed));
  return parsed.settings;
}

function problemsOf(policy: unknown): readonly string[] {
  const parsed = parseAccess(typeof policy === "string" ? policy : JSON.stringify(policy));
  assert(parsed.kind === "invalid");
  return parsed.problems;
}

const USERS = { users: { alice: { password: hash, groups: ["dev"] } } };
const ALICE: Visitor = { kind: "known", name: "alice", groups: ["dev"] };
const NOBODY: Visitor = { kind: "anonymous" };

describe("a policy", () => {
  test("lets who has an account pull everything, where no rule says more", () => {
    const { rules, tokenSeconds } = settingsOf(USERS);
    expect([reachOf(rules, ALICE), reachOf(rules, NOBODY)]).toStrictEqual([
      "everything",
      "nothing",
    ]);
    expect(tokenSeconds).toBe(300);
  });

  test("is as the page has it", () => {
    const page = readFileSync(new URL("../../../docs/access.md", import.meta.url), "utf8");
    const [, example = ""] = /```json\n([\s\S]*?)```/.exec(page) ?? [];
    const whole = example
      .replace("pbkdf2-sha256$100000$…", () => hash)
      .replace("sha256$…", () => hash);
    const parsed = parseAccess(whole);
    expect(parsed).toMatchObject({ kind: "access", settings: { tokenSeconds: 300 } });
  });

  test.for([
    ["[]", /^it: expected Object$/],
    ["nothing", /^not JSON$/],
    [{ admin: true }, /^admin: no such field$/],
    [{ users: { alice: hash } }, /^users\.alice: expected Object$/],
    [{ users: { alice: { password: "hunter2" } } }, /^users\.alice\.password: not a hash/],
    [{ users: { alice: { password: "pbkdf2-sha256$999999$AAAAAAAAAAAAAAAAAAAAAA$x" } } }, /hash/],
    [{ users: { known: { password: hash } } }, /stands for others/],
    [{ users: { "a b": { password: hash } } }, /not a name/],
    [{ robots: { r: { secret: hash } } }, /^robots\.r\.expires: /],
    [{ robots: { r: { secret: hash, expires: "tomorrow" } } }, /not a time/],
    [{ ...USERS, robots: { alice: { secret: hash, expires: "2100-01-01" } } }, /two accounts/],
    [{ users: { alice: { password: hash, operator: "yes" } } }, /^users\.alice\.operator: /],
    [{ robots: { r: { secret: hash, expires: "2100-01-01", operator: true } } }, /no such field/],
    [{ rules: [{ who: "bob", allow: { names: "*" } }] }, /^rules\.0\.who: "bob": no account/],
    [{ rules: [{ who: "@ops", deny: { names: "*" } }] }, /"@ops": no account or @group/],
    [
      { rules: [{ who: "known", allow: { names: "a b" } }] },
      /rules\.0\.allow\.names: "a b": not a/,
    ],
    [{ rules: [{ who: "known", allow: { packages: "a/b" } }] }, /without a slash/],
    [{ rules: [{ who: "known", allow: { names: "arm64/git" } }] }, /a platform has no rules/],
    [{ rules: [{ who: "known", allow: { packages: "*a*b*c*d*" } }] }, /more than 4 times \*/],
    [{ rules: [{ who: "known", grant: {} }] }, /^rules\.0\.grant: no such field$/],
    [{ tokenSeconds: 5 }, /^tokenSeconds: /],
    [{ url: "http://registry.example.org" }, /not a URL of https/],
    [{ url: "https://registry.example.org/v2/" }, /without a path/],
    [{ issuers: [{ issuer: "x", audience: "y", jobs: {} }] }, /not a URL of https/],
    [{ issuers: [{ issuer: "https://x", audience: "", jobs: { j: { claims: {} } } }] }, /./],
  ] as const)("is refused: %j", ([policy, why]) => {
    expect(problemsOf(policy).join("\n")).toMatch(why);
  });

  test("that is refused is not repeated, for a password may stand in a wrong place", () => {
    const secret = "hunter2hunter2";
    for (const policy of [
      { users: { alice: { password: secret } } },
      { users: { alice: secret } },
      { users: secret },
      { tokenSeconds: secret },
      { robots: { r: { secret, expires: secret } } },
    ]) {
      expect(problemsOf(policy).join()).not.toContain(secret);
    }
  });
});

/** What the names of these tests lead to; others to themselves. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  "python3packages.numpy": "python3Packages.numpy",
  "pkgs.git": "git",
  bashinteractive: "bashInteractive",
  "0--46oo": "Foo",
  "gtk--2b": "gtk--2b",
  vcs: "vcs",
};
/** An alias calls itself as what it stands for. */
const OWN_NAMES: Readonly<Record<string, string>> = { vcs: "git-2.39" };

function found(name: string): Found {
  const attribute = ATTRIBUTES[name] ?? name;
  return { ...foundOf(OWN_NAMES[name] ?? `${attribute}-1`), attribute };
}

const site: FoundImage = {
  kind: "image",
  attribute: "nixportImages.site",
  contents: [{ ...foundOf("nginx-1"), attribute: "nginx" }],
  config: {},
};

function meaning(name: string): Meaning {
  const recipe = recipeOf(name);
  const asked = namesOf(recipe)
    .filter((each) => each !== "unheard-of")
    .map((each) => ({ name: each, found: each === "site" ? site : found(each) }));
  const unknown = recipe.packages.filter((each) => each === "unheard-of");
  return meaningOf(recipe, [canonicalImageOf(recipe, asked)], PIN, unknown);
}

describe("a rule", () => {
  const allows = (images: object, name: string) =>
    mayPull(
      settingsOf({ ...USERS, rules: [{ who: "alice", allow: images }] }).rules,
      ALICE,
      meaning(name),
    );
  const denies = (images: object, name: string) => {
    const all = { who: "everyone", allow: { names: "*" } };
    const { rules } = settingsOf({ ...USERS, rules: [all, { who: "@dev", deny: images }] });
    return !mayPull(rules, ALICE, meaning(name));
  };

  test.for([
    ["git", "git", true],
    ["git", "pkgs.git", true],
    ["git", "cacert/git/iana-etc/git", true],
    ["git", "arm64/git", true],
    ["git", "nonroot/git", true],
    ["git", "git/htop", false],
    ["git", "gitfull", false],
    ["git", "vcs", false],
    ["git*", "git/gitfull", true],
    ["openssl", "openssl.dev", true],
    ["python3packages", "python3packages.numpy", true],
    ["python3packages.*", "python3packages.numpy", true],
    ["python3Packages.num*", "python3packages.numpy", true],
    ["python3packages.*", "python3", false],
    ["Python3Packages.*", "python3packages.numpy", false],
    ["gtk--2b", "gtk--2b", true],
    ["foo", "0--46oo", true],
    ["0--46oo", "0--46oo", true],
    ["0--46oo", "foo", false],
    ["shell", "shell", true],
    ["shell", "bashinteractive/nano", true],
    ["shell", "shell/git", false],
    ["site", "site", true],
    ["nginx", "site", false],
    ["unheard-of", "unheard-of", true],
    ["git", "unheard-of", false],
    ["git", "git/unheard-of", false],
  ] as const)("that allows the package %s: %s, %s", ([pattern, name, expected]) => {
    expect(allows({ packages: pattern }, name)).toBe(expected);
  });

  test.for([
    ["git", "git", true],
    ["git", "pkgs.git", true],
    ["git", "git/htop", false],
    ["git", "nonroot/git", false],
    ["htop/git", "git/htop", true],
    ["htop/git", "git", false],
    ["git/*", "git/htop", true],
    ["git/*", "fhs/git", true],
    ["git/*", "htop", false],
    ["*", "fhs/nonroot/shell/git", true],
    ["nonroot/git", "nonroot/git", true],
    ["nonroot/git", "git", false],
    ["shell/git", "git/bashinteractive/coreutils/moreutils/nano", true],
    ["shell/git", "shell/git/htop", false],
    ["python3packages.*/git", "git/python3packages.numpy", true],
    ["cacert/git", "git", true],
  ] as const)("that allows the image %s: %s, %s", ([pattern, name, expected]) => {
    expect(allows({ names: pattern }, name)).toBe(expected);
  });

  test.for([
    [{ packages: "git" }, "git", true],
    [{ packages: "git" }, "htop/pkgs.git", true],
    [{ packages: "git" }, "vcs", true],
    [{ packages: "git" }, "htop", false],
    [{ packages: "nginx" }, "site", true],
    [{ packages: "nginx" }, "htop/site", true],
    [{ packages: "nano" }, "shell", true],
    [{ packages: "zlib" }, "fhs/git", true],
    [{ packages: "zlib" }, "git", false],
    [{ packages: "*.numpy" }, "python3packages.numpy", true],
    [{ packages: "unheard*" }, "git/unheard-of", true],
    [{ names: "git/htop" }, "htop/git", true],
    [{ names: "git/htop" }, "git", false],
    [{ names: "nonroot/*" }, "git", false],
    [{ names: "nonroot/*" }, "nonroot/git", true],
  ] as const)("that denies %j: %s, %s", ([images, name, expected]) => {
    expect(denies(images, name)).toBe(expected);
  });

  test("that denies goes before any that allows", () => {
    const rules = [
      { who: "alice", allow: { names: "*", packages: "git" } },
      { who: "known", deny: { packages: "git" } },
    ];
    const parsed = settingsOf({ ...USERS, rules }).rules;
    expect(mayPull(parsed, ALICE, meaning("git"))).toBe(false);
    expect(mayPull(parsed, ALICE, meaning("htop"))).toBe(true);
    expect(mayPull(parsed, NOBODY, meaning("htop"))).toBe(false);
  });

  test("adds to others what it allows", () => {
    const rules = [
      { who: "everyone", allow: { packages: "git" } },
      { who: "@dev", allow: { packages: "htop" } },
    ];
    const parsed = settingsOf({ ...USERS, rules }).rules;
    expect(mayPull(parsed, ALICE, meaning("git/htop"))).toBe(true);
    expect(mayPull(parsed, NOBODY, meaning("git/htop"))).toBe(false);
    expect(mayPull(parsed, NOBODY, meaning("git"))).toBe(true);
  });

  test.for<[object, Reach]>([
    [{ allow: { names: "*" } }, "everything"],
    [{ allow: { packages: "*" } }, "everything"],
    [{ allow: { names: "*" }, deny: { packages: "git" } }, "something"],
    [{ allow: { packages: "git*" } }, "something"],
    [{ deny: { packages: "git" } }, "nothing"],
    [{ allow: { names: "git" }, deny: { names: "*" } }, "nothing"],
    [{}, "nothing"],
  ])("%j reaches %s", ([rule, reach]) => {
    const { rules } = settingsOf({ ...USERS, rules: [{ who: "alice", ...rule }] });
    expect(reachOf(rules, ALICE)).toBe(reach);
  });
});
