import { describe, expect, test } from "vitest";
import { pinnedLines, referenceOf } from "../../../page/recipe/pinned-lines.ts";
import { LATEST } from "../../../registry/naming/reference.ts";
import { digestOfText, tagOf } from "../../registry/fixture.ts";

const DIGEST = digestOfText("an image");
const IMAGE = { host: "r.example", repository: "shell/git", tag: LATEST, digest: null };
const textOf = (id: string, image: Parameters<typeof pinnedLines>[0] = IMAGE) =>
  pinnedLines(image).find((line) => line.id === id)?.text;

describe("referenceOf", () => {
  test("pins the digest where it is known, without a tag, which not every client takes with one", () => {
    expect(referenceOf(IMAGE)).toBe("r.example/shell/git");
    expect(referenceOf({ ...IMAGE, tag: tagOf("main") })).toBe("r.example/shell/git:main");
    const pinned = `r.example/shell/git@${DIGEST}`;
    expect(referenceOf({ ...IMAGE, tag: tagOf("main"), digest: DIGEST })).toBe(pinned);
  });
});

describe("pinnedLines", () => {
  test("are for every place where an image is named", () => {
    const pinned = { ...IMAGE, digest: DIGEST };
    const reference = `r.example/shell/git@${DIGEST}`;
    expect(Object.fromEntries(pinnedLines(pinned).map(({ id, text }) => [id, text]))).toStrictEqual(
      {
        docker: `docker pull ${reference}`,
        podman: `podman run --rm -it ${reference}`,
        kubectl: `kubectl debug -it pod/app --target=app --image=${reference}`,
        base: `FROM ${reference}`,
        copy: `COPY --from=${reference} /nix /nix\nCOPY --from=${reference} /bin /usr/local/bin`,
        actions: `container:\n  image: "${reference}"`,
        compose: `services:\n  tools:\n    image: "${reference}"`,
      },
    );
  });

  test("say to Podman where there is no TLS", () => {
    for (const host of ["127.0.0.1:8787", "localhost:8787", "[::1]:8787"]) {
      expect(textOf("podman", { ...IMAGE, host }), host).toContain(" --tls-verify=false ");
    }
    expect(textOf("podman", { ...IMAGE, host: "127.0.0.1.evil.example" })).not.toContain("tls");
  });

  test("hold no host that a shell would read as more than one word", () => {
    expect(textOf("docker", { ...IMAGE, host: "a$(id);b'c" })).toBe(
      `docker pull 'a$(id);b'\\''c/shell/git'`,
    );
  });
});
