import { describe, expect, test } from "vitest";
import { RegistryError } from "../../../registry/http/error.ts";
import {
  isOfSite,
  isPage,
  isShown,
  pagePath,
  parsePageRoute,
} from "../../../registry/http/page-route.ts";
import { LATEST } from "../../../registry/naming/reference.ts";
import { digestOfText, tagOf } from "../fixture.ts";

const DIGEST = digestOfText("an object");
const at = (path: string) => new URL(path, "https://registry.example");

describe("parsePageRoute", () => {
  const routes: readonly [path: string, route: object][] = [
    ["/", { kind: "home" }],
    ["/?image=git", { kind: "home" }],
    ["/assets/home-XQL2XQXL.js", { kind: "asset", file: "home-XQL2XQXL.js" }],
    ["/i/shell/git", { kind: "image", repository: "shell/git", tag: "latest" }],
    ["/i/shell%2Fgit%3Amain", { kind: "image", repository: "shell/git", tag: "main" }],
    ["/i/git:nixos-25.11", { kind: "image", repository: "git", tag: "nixos-25.11" }],
    ["/api/images/git:x", { kind: "image-data", repository: "git", tag: "x" }],
    ["/api/images/images/api", { kind: "image-data", repository: "images/api", tag: "latest" }],
    ["/api/progress/git", { kind: "progress", repository: "git", tag: "latest" }],
    ["/api/index", { kind: "index" }],
    [`/api/index/objects/${DIGEST}`, { kind: "index-object", digest: DIGEST }],
    ["/operator", { kind: "operator" }],
    ["/api/operator", { kind: "operator-data" }],
  ];
  test.for(routes)("reads %s", ([path, route]) => {
    expect(isPage(at(path))).toBe(true);
    expect(parsePageRoute("GET", at(path))).toMatchObject(route);
    expect(parsePageRoute("HEAD", at(path))).toMatchObject(route);
  });

  test("reads what pagePath writes", () => {
    const tag = tagOf("feature--x");
    for (const [path, route] of [
      [pagePath.image("a/b", LATEST), { kind: "image", repository: "a/b", tag: LATEST }],
      [pagePath.image("a/b", tag), { kind: "image", repository: "a/b", tag }],
      [pagePath.imageData("a", tag), { kind: "image-data", repository: "a", tag }],
      [pagePath.progress("a", tag), { kind: "progress", repository: "a", tag }],
      [pagePath.indexObject(DIGEST), { kind: "index-object", digest: DIGEST }],
    ] as const) {
      expect(parsePageRoute("GET", at(path)), path).toMatchObject(route);
    }
  });

  const refused: readonly [path: string, code: string][] = [
    ["/i", "NAME_INVALID"],
    ["/i/", "NAME_INVALID"],
    ["/i/Git", "NAME_INVALID"],
    ["/i/git/", "NAME_INVALID"],
    ["/i/<script>", "NAME_INVALID"],
    ["/i/git:", "MANIFEST_UNKNOWN"],
    ["/i/git:a:b", "MANIFEST_UNKNOWN"],
    ["/i/git:a/b", "MANIFEST_UNKNOWN"],
    [`/i/git@${DIGEST}`, "NAME_INVALID"],
    ["/i/%ff", "NAME_INVALID"],
    [`/i/${"a".repeat(400)}`, "NAME_INVALID"],
    [`/i/${"a".repeat(9000)}`, "NAME_INVALID"],
    ["/assets/", "NAME_UNKNOWN"],
    ["/assets/../manifest.json", "NAME_UNKNOWN"],
    ["/assets/a/home-XQL2XQXL.js", "NAME_UNKNOWN"],
    ["/assets/home.js", "NAME_UNKNOWN"],
    ["/api", "NAME_UNKNOWN"],
    ["/api/index/objects/x", "NAME_UNKNOWN"],
    [`/api/index/objects/${DIGEST}/x`, "NAME_UNKNOWN"],
    ["/api/operator/x", "NAME_UNKNOWN"],
    ["/operator/x", "NAME_UNKNOWN"],
  ];
  test.for(refused)("refuses %s with %s", ([path, code]) => {
    const parse = () => parsePageRoute("GET", at(path));
    if (!isPage(at(path))) return expect(at(path).pathname).toBe("/manifest.json");
    expect(parse).toThrow(RegistryError);
    expect(parse).toThrow(expect.objectContaining({ code }));
  });

  test("refuses to write", () => {
    expect(() => parsePageRoute("POST", at("/"))).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED" }),
    );
  });
});

test("isPage leaves the registry's and everything else alone", () => {
  for (const path of [
    "/v2/",
    "/v2/i/manifests/latest",
    "/ingest/records",
    "/token",
    "/in",
    "/%69/git",
  ]) {
    expect(isPage(at(path)), path).toBe(false);
  }
});

test("isShown and isOfSite tell what a person reads, and what a site of the operator's has", () => {
  const told = ["/", "/i/git", "/operator", "/assets/x", "/api/index"].map((path) => [
    path,
    isShown(at(path)),
    isOfSite(at(path)),
  ]);
  expect(told).toStrictEqual([
    ["/", true, true],
    ["/i/git", true, false],
    ["/operator", true, false],
    ["/assets/x", false, true],
    ["/api/index", false, false],
  ]);
});
