// The configuration: defaults, Nixery's variables, and every problem at once.

import { resolve } from "node:path";
import { assert, describe, expect, test } from "vitest";
import {
  type Config,
  type EnvironmentVariables,
  readConfig,
} from "../../../origin/configuration/config.ts";
import { NIXPKGS_URL } from "../../../origin/sources/source.ts";

const SECRET = "0123456789abcdef";
const LOG_STYLE = { level: "info", format: null, colours: null } as const;
const SOURCE = { NIXERY_CHANNEL: "nixos-unstable" };
/** As an environment file of Nixery's has it. */
const BUCKET = { NIXERY_STORAGE_BACKEND: "gcs", GCS_BUCKET: "layers" };
const LAYERS = {
  ...{ name: "layers", endpoint: null, copiesBytes: 4_294_967_296 },
  redirect: "signed" as const,
};

function configOf(env: EnvironmentVariables): Config {
  const result = readConfig(env);
  assert(result.kind === "config", JSON.stringify(result));
  return result.config;
}

function problemsOf(env: EnvironmentVariables): readonly string[] {
  const result = readConfig(env);
  assert(result.kind === "invalid", JSON.stringify(result));
  return result.problems;
}

describe("readConfig", () => {
  test("has a default for everything but the package source", () => {
    expect(configOf(SOURCE)).toStrictEqual({
      ...{ host: "127.0.0.1", port: 8788, access: "anyone", edgeUrl: null, secretKeys: [] },
      policy: null,
      operatorView: null,
      source: { kind: "nixpkgs", url: NIXPKGS_URL, channel: "nixos-unstable" },
      nixpkgsConfig: {},
      platforms: [process.arch === "arm64" ? "arm64" : "amd64"],
      zstd: "known",
      statePath: resolve(".nixport"),
      ...{ storagePath: resolve(".nixport/origin"), bucket: null, redirectStatus: 307 },
      webPath: null,
      ...{ builderTimeoutSeconds: 60, buildDeadlineMs: 600_000, pinFreshMs: 300_000 },
      fetchDeadlineMs: 1_800_000,
      ...{ holdMs: null, maxBuilds: 4, maxEvaluations: 2, maxQueue: 100 },
      ...{ evaluationDeadlineMs: 180_000, evaluationMemoryBytes: null },
      ...{ build: "missing", maxSourceBuilds: null },
      maxClosureBytes: 34_359_738_368,
      failureMemoryMs: 60_000,
      trackMs: 604_800_000,
      keptRevisions: 50,
      ...{ packWorkers: null, popularityUrl: null, popularityRefreshMs: null },
      ...{ gcEveryMs: null, gcKeepMs: 2_592_000_000, gcMaxBytes: null },
      ...{ isIndexed: null, indexSets: [] },
      logStyle: LOG_STYLE,
    });
  });

  test("takes a variable of spaces for one that is not set", () => {
    const spaces = { PORT: " ", HOST: "", NIXPORT_EDGE_URL: "  ", NIXPORT_SECRET: "" };
    expect(configOf({ ...SOURCE, ...spaces })).toStrictEqual(configOf(SOURCE));
  });

  const settings: readonly [env: EnvironmentVariables, setting: Partial<Config>][] = [
    [{ PORT: "0" }, { port: 0 }],
    [{ PORT: " 65535 " }, { port: 65_535 }],
    [{ NIX_TIMEOUT: "1" }, { builderTimeoutSeconds: 1 }],
    [{ NIXPORT_BUILD_DEADLINE: "5" }, { buildDeadlineMs: 5000 }],
    [{ NIXPORT_FETCH_DEADLINE: "5" }, { fetchDeadlineMs: 5000 }],
    [{ NIXPORT_PIN_FRESH: "0" }, { pinFreshMs: 0 }],
    [{ NIXPORT_TRACK_DAYS: "2" }, { trackMs: 172_800_000 }],
    [{ NIXPORT_KEPT_REVISIONS: "0" }, { keptRevisions: 0 }],
    [{ NIXPORT_GC_HOURS: "24" }, { gcEveryMs: 86_400_000 }],
    [{ NIXPORT_GC_KEEP_DAYS: "1" }, { gcKeepMs: 86_400_000 }],
    [{ NIXPORT_GC_MAX_BYTES: "5000" }, { gcMaxBytes: 5000 }],
    [{ NIXPORT_NIXPKGS_CONFIG: '{"a":["b"]}' }, { nixpkgsConfig: { a: ["b"] } }],
    [{ NIXPKGS_ALLOW_UNFREE: "1" }, { nixpkgsConfig: { allowUnfree: true } }],
    [{ NIXPKGS_ALLOW_BROKEN: "0" }, { nixpkgsConfig: {} }],
    [{ NIXPORT_HOLD: "900" }, { holdMs: 900_000 }],
    [{ NIXPORT_MAX_BUILDS: "1" }, { maxBuilds: 1 }],
    [{ NIXPORT_MAX_EVALUATIONS: "3" }, { maxEvaluations: 3 }],
    [{ NIXPORT_EVALUATION_DEADLINE: "5" }, { evaluationDeadlineMs: 5000 }],
    [{ NIXPORT_EVALUATION_MEMORY: "1000000000" }, { evaluationMemoryBytes: 1e9 }],
    [{ NIXPORT_BUILD: "never" }, { build: "never" }],
    [{ NIXPORT_BUILD: "always" }, { build: "always" }],
    [{ NIXPORT_MAX_SOURCE_BUILDS: "0" }, { maxSourceBuilds: 0 }],
    [{ NIXPORT_MAX_QUEUE: "0" }, { maxQueue: 0 }],
    [{ NIXPORT_MAX_CLOSURE_BYTES: "5000" }, { maxClosureBytes: 5000 }],
    [{ NIXPORT_FAILURE_MEMORY: "0" }, { failureMemoryMs: 0 }],
    [{ NIXPORT_PACK_WORKERS: "3" }, { packWorkers: 3 }],
    [{ NIXPORT_PACK_WORKERS: "0" }, { packWorkers: null }],
    [{ NIXPORT_ZSTD: "never" }, { zstd: "never" }],
    [{ NIXPORT_ZSTD: " known " }, { zstd: "known" }],
    [{ NIXPORT_PLATFORMS: "linux/arm64" }, { platforms: ["arm64"] }],
    [{ NIXPORT_PLATFORMS: " linux/arm64, linux/amd64 " }, { platforms: ["arm64", "amd64"] }],
    [{ NIX_POPULARITY_URL: "https://x.example/p" }, { popularityUrl: "https://x.example/p" }],
    [{ NIX_POPULARITY_URL: "file:///srv/p.json" }, { popularityUrl: "file:///srv/p.json" }],
    [{ NIXPORT_POPULARITY_REFRESH: "30" }, { popularityRefreshMs: 2_592_000_000 }],
    [{ NIXPORT_STATE: "/a/../b" }, { statePath: "/b", storagePath: "/b/origin" }],
    [{ STORAGE_PATH: "/s", NIXERY_STORAGE_BACKEND: "filesystem" }, { storagePath: "/s" }],
    [{ GCS_BUCKET: "layers" }, { bucket: null }],
    [BUCKET, { bucket: LAYERS }],
    [
      { ...BUCKET, STORAGE_PATH: "/s" },
      { bucket: LAYERS, storagePath: "/s" },
    ],
    [
      { ...BUCKET, NIXPORT_REDIRECT: "public", NIXPORT_REDIRECT_STATUS: "303" },
      { bucket: { ...LAYERS, redirect: "public" }, redirectStatus: 303 },
    ],
    [{ ...BUCKET, NIXPORT_COPIES_BYTES: "0" }, { bucket: { ...LAYERS, copiesBytes: 0 } }],
    ...["http://127.0.0.1:4443", "127.0.0.1:4443", "http://127.0.0.1:4443/"].map(
      (host): [EnvironmentVariables, Partial<Config>] => [
        { ...BUCKET, STORAGE_EMULATOR_HOST: host },
        { bucket: { ...LAYERS, endpoint: "http://127.0.0.1:4443" } },
      ],
    ),
    [{ NIXPORT_INDEX: "off" }, { isIndexed: false }],
    [{ NIXPORT_OPERATOR_VIEW: "local" }, { operatorView: "local" }],
    [
      { NIXPORT_INDEX: "on", NIXPORT_INDEX_SETS: "python3Packages, a.b" },
      { isIndexed: true, indexSets: [["python3Packages"], ["a", "b"]] },
    ],
    [{ WEB_DIR: "/srv/../web/" }, { webPath: "/web" }],
    [{ NIXPORT_LOG_LEVEL: "silent" }, { logStyle: { ...LOG_STYLE, level: "silent" } }],
    [{ NIXPORT_LOG_FORMAT: "text" }, { logStyle: { ...LOG_STYLE, format: "text" } }],
    [{ NO_COLOR: "1" }, { logStyle: { ...LOG_STYLE, colours: false } }],
    [{ NO_COLOR: "" }, { logStyle: LOG_STYLE }],
    [{ TERM: "dumb" }, { logStyle: { ...LOG_STYLE, colours: false } }],
    [{ FORCE_COLOR: "1", NO_COLOR: "1" }, { logStyle: { ...LOG_STYLE, colours: true } }],
    [{ FORCE_COLOR: "0" }, { logStyle: { ...LOG_STYLE, colours: false } }],
    [{ HOST: "::1" }, { host: "::1", access: "anyone" }],
    [
      { HOST: "0.0.0.0", NIXPORT_SECRET: SECRET },
      { host: "0.0.0.0", access: "edge" },
    ],
    [
      { HOST: "0.0.0.0", NIXPORT_SECRET: SECRET, NIXPORT_ACCESS: "anyone" },
      { host: "0.0.0.0", access: "anyone" },
    ],
    [{ NIXPORT_ACCESS: "edge", NIXPORT_SECRET: SECRET }, { access: "edge" }],
    [
      { NIXPORT_EDGE_URL: "https://edge.example", NIXPORT_SECRET: SECRET },
      { edgeUrl: "https://edge.example", access: "anyone" },
    ],
  ];
  test.for(settings)("reads %j", ([env, setting]) => {
    const config: Readonly<Record<string, unknown>> = { ...configOf({ ...SOURCE, ...env }) };
    for (const [name, value] of Object.entries(setting))
      expect(config[name], name).toStrictEqual(value);
  });

  test("reads one key, or two while they are rotated", () => {
    const { secretKeys } = configOf({ ...SOURCE, NIXPORT_SECRET: `b:${SECRET},a:${SECRET}` });
    expect(secretKeys.map(({ id }) => id)).toStrictEqual(["b", "a"]);
  });

  const sources: readonly [env: EnvironmentVariables, source: Config["source"]][] = [
    [
      { NIXERY_CHANNEL: "nixos-25.11", NIXERY_PKGS_REPO: "/r", NIXERY_PKGS_PATH: "/p" },
      { kind: "nixpkgs", url: NIXPKGS_URL, channel: "nixos-25.11" },
    ],
    [
      { NIXERY_PKGS_REPO: "/r", NIXERY_PKGS_PATH: "/p" },
      { kind: "git", url: "/r" },
    ],
    [
      { NIXPORT_FLAKE: "path:/f", NIXERY_CHANNEL: "nixos-25.11", NIXERY_PKGS_PATH: "/p" },
      { kind: "flake", url: "path:/f" },
    ],
    [
      { NIXPORT_FLAKE: "github:NixOS/nixpkgs/nixos-unstable" },
      { kind: "flake", url: "github:NixOS/nixpkgs/nixos-unstable" },
    ],
    [
      { NIXPORT_FLAKE: "git+ssh://git@h.example/r", NIXPORT_DEFAULT_TAG: "release/1.0" },
      { kind: "flake", url: "git+ssh://git@h.example/r", latest: "release/1.0" },
    ],
    [
      { NIXERY_PKGS_REPO: "/r", NIXPORT_DEFAULT_TAG: "v1.0" },
      { kind: "git", url: "/r", latest: "v1.0" },
    ],
    [
      { NIXERY_CHANNEL: "nixos-unstable", NIXPORT_DEFAULT_TAG: "nixos-25.11" },
      { kind: "nixpkgs", url: NIXPKGS_URL, channel: "nixos-25.11" },
    ],
    [{ NIXERY_PKGS_PATH: "/p/../q" }, { kind: "path", path: "/q" }],
    [{ NIXERY_PKGS_PATH: "set" }, { kind: "path", path: resolve("set") }],
    ...["https://h.example/r.git", "ssh://git@h.example/r", "git@h.example:r.git", "file:///r"].map(
      (url): [EnvironmentVariables, Config["source"]] => [
        { NIXERY_PKGS_REPO: url },
        { kind: "git", url },
      ],
    ),
  ];
  for (const [env, source] of sources) {
    test(`takes packages from ${source.kind} for ${JSON.stringify(env)}`, () => {
      expect(configOf(env).source).toStrictEqual(source);
    });
  }

  const problems: readonly [env: EnvironmentVariables, problem: RegExp][] = [
    ...[
      "PORT",
      "NIX_TIMEOUT",
      "NIXPORT_BUILD_DEADLINE",
      "NIXPORT_PIN_FRESH",
      "NIXPORT_TRACK_DAYS",
      "NIXPORT_KEPT_REVISIONS",
      "NIXPORT_HOLD",
      "NIXPORT_MAX_BUILDS",
      "NIXPORT_MAX_EVALUATIONS",
      "NIXPORT_EVALUATION_DEADLINE",
      "NIXPORT_EVALUATION_MEMORY",
      "NIXPORT_MAX_QUEUE",
      "NIXPORT_FAILURE_MEMORY",
      "NIXPORT_PACK_WORKERS",
    ].flatMap((name) =>
      ["x", "-1", "1.5", "99999999"].map((value): [EnvironmentVariables, RegExp] => [
        { [name]: value },
        new RegExp(`^${name} is "${value}": a whole number from`),
      ]),
    ),
    [{ NIX_TIMEOUT: "0" }, /^NIX_TIMEOUT is "0"/],
    [{ NIX_POPULARITY_URL: "/srv/p.json" }, /^NIX_POPULARITY_URL .* http, https or file/],
    [{ NIX_POPULARITY_URL: "ftp://x/p.json" }, /^NIX_POPULARITY_URL .* http, https or file/],
    [{ NIXPORT_POPULARITY_REFRESH: "monthly" }, /^NIXPORT_POPULARITY_REFRESH .* whole number/],
    ...["amd64", "linux/riscv64", "linux/amd64,linux/amd64"].map(
      (value): [EnvironmentVariables, RegExp] => [
        { NIXPORT_PLATFORMS: value },
        /^NIXPORT_PLATFORMS is ".*": some of linux\/amd64,linux\/arm64/,
      ],
    ),
    [
      { NIXPORT_EDGE_URL: "edge.example", NIXPORT_SECRET: SECRET },
      /^NIXPORT_EDGE_URL .* http or https/,
    ],
    [
      { NIXPORT_EDGE_URL: "https://example/edge", NIXPORT_SECRET: SECRET },
      /^NIXPORT_EDGE_URL .* a registry has no path/,
    ],
    [
      { NIXPORT_EDGE_URL: "https://user:hunter2@edge.example", NIXPORT_SECRET: SECRET },
      /^NIXPORT_EDGE_URL holds a user or password$/,
    ],
    [
      { NIX_POPULARITY_URL: "https://token@x.example/p" },
      /^NIX_POPULARITY_URL holds a user or password$/,
    ],
    [{ NIXPORT_EDGE_URL: "https://edge.example" }, /^NIXPORT_EDGE_URL is set: NIXPORT_SECRET/],
    [{ HOST: "0.0.0.0" }, /^HOST is 0\.0\.0\.0, which is not loopback: NIXPORT_SECRET/],
    [{ HOST: "::" }, /^HOST is ::, which is not loopback/],
    [{ HOST: "0.0.0.0", NIXPORT_ACCESS: "anyone" }, /which is not loopback/],
    [{ NIXPORT_SECRET: "short" }, /^NIXPORT_SECRET: .*16 bytes/],
    [{ NIXPORT_NIXPKGS_CONFIG: "allowUnfree" }, /^NIXPORT_NIXPKGS_CONFIG is no JSON object/],
    [{ NIXPORT_NIXPKGS_CONFIG: "[]" }, /^NIXPORT_NIXPKGS_CONFIG is no JSON object/],
    [
      { NIXPORT_NIXPKGS_CONFIG: `{"a":"${"x".repeat(20_000)}"}` },
      /^NIXPORT_NIXPKGS_CONFIG .*16 KiB/,
    ],
    [{ NIXPORT_ZSTD: "always" }, /^NIXPORT_ZSTD is "always": one of known, never$/],
    [{ NIXPORT_ACCESS: "everyone" }, /^NIXPORT_ACCESS is "everyone": anyone or edge/],
    [{ NIXPORT_ACCESS: "edge" }, /^NIXPORT_ACCESS is edge: NIXPORT_SECRET/],
    [{ NIXPORT_POLICY: "{" }, /^NIXPORT_POLICY: not JSON$/],
    [{ NIXPORT_POLICY: '{"rules":[{"who":"me"}]}' }, /^NIXPORT_POLICY: rules\.0\.who: "me"/],
    [{ NIXPORT_POLICY: "/nowhere/policy.json" }, /^NIXPORT_POLICY is neither JSON .*ENOENT$/],
    [
      { ...BUCKET, NIXPORT_REDIRECT: "public", NIXPORT_POLICY: "{}" },
      /^NIXPORT_REDIRECT is public: what NIXPORT_POLICY keeps/,
    ],
    [{ NIXPORT_OPERATOR_VIEW: "public" }, /^NIXPORT_OPERATOR_VIEW is "public": local/],
    [{ NIXPORT_INDEX: "yes" }, /^NIXPORT_INDEX is "yes": on or off$/],
    [
      { NIXPORT_INDEX_SETS: "a..b" },
      /^NIXPORT_INDEX_SETS names "a\.\.b": attributes joined by dots/,
    ],
    [{ NIXPORT_LOG_LEVEL: "loud" }, /^NIXPORT_LOG_LEVEL is "loud": one of/],
    [
      { NIXPORT_BUILD: "sometimes" },
      /^NIXPORT_BUILD is "sometimes": one of never, missing, always$/,
    ],
    [{ NIXERY_STORAGE_BACKEND: "s3" }, /^NIXERY_STORAGE_BACKEND is "s3": one of filesystem, gcs$/],
    [{ NIXERY_STORAGE_BACKEND: "gcs" }, /^NIXERY_STORAGE_BACKEND is gcs: GCS_BUCKET must name/],
    ...["gs://layers", "Layers", "a"].map((bucket): [EnvironmentVariables, RegExp] => [
      { NIXERY_STORAGE_BACKEND: "gcs", GCS_BUCKET: bucket },
      /^GCS_BUCKET is ".*": the name of a bucket alone is needed$/,
    ]),
    [
      { NIXPORT_REDIRECT: "always" },
      /^NIXPORT_REDIRECT is "always": one of signed, public, never$/,
    ],
    [{ NIXPORT_REDIRECT_STATUS: "302" }, /^NIXPORT_REDIRECT_STATUS is "302": one of 307, 303$/],
    [
      { ...BUCKET, STORAGE_EMULATOR_HOST: "ftp://x" },
      /^STORAGE_EMULATOR_HOST is "ftp:\/\/x": a host or a URL is needed$/,
    ],
    [{ NIXERY_CHANNEL: "-x" }, /^NIXERY_CHANNEL is "-x"/],
    [{ NIXERY_CHANNEL: "a b" }, /^NIXERY_CHANNEL/],
    [{ NIXPORT_FLAKE: "nixpkgs" }, /^NIXPORT_FLAKE is "nixpkgs": github:owner\/repo/],
    [{ NIXPORT_FLAKE: "--impure" }, /^NIXPORT_FLAKE is "--impure"/],
    ...["-x", "a b", "a..b", "a@{1}", "a//b", "x".repeat(201)].map(
      (value): [EnvironmentVariables, RegExp] => [
        { NIXPORT_DEFAULT_TAG: value },
        /^NIXPORT_DEFAULT_TAG is .*: a branch, a git tag or a commit/,
      ],
    ),
    [
      { NIXERY_CHANNEL: "", NIXERY_PKGS_PATH: "/p", NIXPORT_DEFAULT_TAG: "main" },
      /^NIXPORT_DEFAULT_TAG is set: a local path has the tag latest only/,
    ],
    ...["path:/f", "https://h.example/f.tar.gz"].map((flake): [EnvironmentVariables, RegExp] => [
      { NIXPORT_FLAKE: flake, NIXPORT_DEFAULT_TAG: "main" },
      /^NIXPORT_DEFAULT_TAG is set: a flake that is no git repository has latest only/,
    ]),
    [{ NIXERY_CHANNEL: "", NIXERY_PKGS_REPO: "--upload-pack=x" }, /^NIXERY_PKGS_REPO/],
    [{ NIXERY_CHANNEL: "", NIXERY_PKGS_REPO: "ext::sh -c x" }, /^NIXERY_PKGS_REPO/],
    [{ NIXERY_CHANNEL: "" }, /^no package source: set one of NIXPORT_FLAKE, NIXERY_CHANNEL/],
  ];
  test.for(problems)("refuses %j", ([env, problem]) => {
    const found = problemsOf({ ...SOURCE, ...env });
    expect(found, found.join("\n")).toHaveLength(1);
    expect(found[0] ?? "").toMatch(problem);
  });

  test("tells every problem at once", () => {
    const found = problemsOf({
      ...{ PORT: "x", HOST: "0.0.0.0", NIX_TIMEOUT: "-1", NIXPORT_EDGE_URL: "nowhere" },
      ...{ NIXPORT_LOG_LEVEL: "loud", NIXPORT_ACCESS: "who", NIXERY_STORAGE_BACKEND: "gcs" },
    });
    const names = ["NIXPORT_ACCESS", "HOST", "NIXPORT_EDGE_URL", "NIXERY_STORAGE_BACKEND"];
    names.push("NIXPORT_LOG_LEVEL", "no", "PORT", "NIX_TIMEOUT");
    expect(new Set(found.map((text) => text.split(" ")[0]))).toStrictEqual(new Set(names));
  });

  test("shows no secret in a problem", () => {
    const secret = "hunter2";
    for (const variables of [
      { NIXPORT_SECRET: secret, NIXPORT_EDGE_URL: `ftp://a:${secret}@h` },
      { NIXPORT_FLAKE: `https://a:${secret}@h.example/r.git` },
      { NIXERY_PKGS_REPO: `ftp://a:${secret}@h.example/r.git` },
    ]) {
      for (const text of problemsOf(variables)) expect(text, text).not.toContain(secret);
    }
  });
});
