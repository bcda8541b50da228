import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, ftruncateSync, linkSync, openSync, rmSync, utimesSync } from "node:fs";
import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import {
  CHUNK_SIZE_BYTES as CHUNK,
  createChunkBuffer,
  createChunkWriter,
} from "../../../origin/layers/chunk-writer.ts";
import { UnpackableError, writeStorePath } from "../../../origin/layers/tar.ts";
import { type EntryHeader, writeHeader } from "../../../origin/layers/tar-header.ts";
import { storePathBase } from "../../../registry/naming/store-path.ts";
import {
  listTree,
  plant,
  readTar,
  storePath,
  type Tree,
  tarOf,
  temporaryDirectory,
  unpackWithGnuTar,
} from "./fixture.ts";

const store = temporaryDirectory();
const ROOT_LENGTH = "nix/store/".length + 32 + "-n".length;

function assertUnpacksAsPlanted(name: string, tree: Tree): void {
  const path = plant(store, storePath(name), tree);
  const base = storePathBase(path);
  const unpacked = unpackWithGnuTar(tarOf(store, path));
  expect(listTree(`${unpacked}/nix/store/${base}`)).toStrictEqual(
    listTree(`${store}/${base}`, "of-an-image"),
  );
}

function headerOf(entry: EntryHeader): Buffer {
  const chunks: Buffer[] = [];
  const out = createChunkWriter(createChunkBuffer(), (chunk) => chunks.push(Buffer.from(chunk)));
  writeHeader(out, entry);
  out.flush();
  return Buffer.concat(chunks);
}

describe("the entries of a store path", () => {
  test("come parents first, then by the bytes of their names, all of one owner and time", async () => {
    const path = plant(store, storePath("order-1"), {
      holds: {
        "a-b": "",
        a: { holds: { z: "1", Z: "2" } },
        "a.b": { program: "#!/bin/sh\n" },
        empty: { holds: {} },
        l: { link: "a/z" },
      },
    });
    const entries = await readTar(tarOf(store, path));
    const base = `nix/store/${storePathBase(path)}`;
    expect(
      entries.map(({ name, type, mode, linkname }) =>
        [name, type, (mode ?? 0).toString(8), linkname ?? ""].join(" ").trim(),
      ),
    ).toStrictEqual([
      "nix/ directory 755",
      "nix/store/ directory 755",
      `${base}/ directory 555`,
      `${base}/a/ directory 555`,
      `${base}/a/Z file 444`,
      `${base}/a/z file 444`,
      `${base}/a-b file 444`,
      `${base}/a.b file 555`,
      `${base}/empty/ directory 555`,
      `${base}/l symlink 777 a/z`,
    ]);
    for (const { uid, gid, uname, gname, mtime } of entries) {
      expect([uid, gid, uname, gname, mtime?.getTime()]).toStrictEqual([0, 0, "", "", 1000]);
    }
  });

  test("are listed by GNU tar without a warning", () => {
    const path = plant(store, storePath("listed-1"), { holds: { "h\xc3\xa4": "x" } });
    const input = Buffer.concat([tarOf(store, path), Buffer.alloc(1024)]);
    const env = { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC" };
    const listing = execFileSync("tar", ["-tvf", "-", "--quoting-style=literal"], {
      input,
      env,
      stdio: "pipe",
    });
    const [first, second, third, fourth] = listing.toString().split("\n");
    expect(first ?? "").toMatch(/^drwxr-xr-x 0\/0 +0 1970-01-01 00:00 nix\/$/);
    expect(second ?? "").toMatch(/^drwxr-xr-x 0\/0 +0 1970-01-01 00:00 nix\/store\/$/);
    expect(third ?? "").toMatch(/^dr-xr-xr-x 0\/0 +0 1970-01-01 00:00 nix\/store\/0+-listed-1\/$/);
    expect(fourth ?? "").toMatch(
      /^-r--r--r-- 0\/0 +1 1970-01-01 00:00 nix\/store\/0+-listed-1\/hä$/,
    );
  });

  test("are one for a store path that is a file, a program or a link", async () => {
    const trees: readonly [string, Tree, string][] = [
      ["file-1", "text", "file 444"],
      ["program-1", { program: "run" }, "file 555"],
      ["link-1", { link: "/nix/store/elsewhere" }, "symlink 777"],
    ];
    for (const [name, tree, expected] of trees) {
      const path = plant(store, storePath(name), tree);
      const [, , entry, ...rest] = await readTar(tarOf(store, path));
      expect(entry?.name).toBe(`nix/store/${storePathBase(path)}`);
      expect(`${entry?.type} ${entry?.mode?.toString(8)}`).toBe(expected);
      expect(rest).toStrictEqual([]);
      assertUnpacksAsPlanted(`${name}-again`, tree);
    }
  });
});

describe("names and link targets", () => {
  /** A path below `<root>/` whose entry name has so many bytes in all, made of parts up to 90. */
  function pathOfLength(length: number): string[] {
    const parts: string[] = [];
    for (let left = length - ROOT_LENGTH; left > 0; ) {
      const part = Math.min(90, left - 1);
      // A rest of one byte would be a slash without a name.
      const fitted = left - 1 - part === 1 ? part - 1 : part;
      parts.push("p".repeat(fitted));
      left -= fitted + 1;
    }
    return parts;
  }
  const nest = (parts: readonly string[], leaf: Tree): Tree =>
    parts.reduceRight<Tree>((inner, name) => ({ holds: { [name]: inner } }), leaf);

  for (const length of [99, 100, 101, 102, 155, 156, 157, 254, 255, 256, 257, 258, 600]) {
    for (const [kind, leaf] of [
      ["file", "x"],
      ["directory", { holds: {} }],
    ] as const) {
      test(`of a ${kind} with ${length} bytes come back whole`, async () => {
        const digit = kind === "file" ? "1" : "2";
        const path = storePath("n", digit);
        const inside = temporaryDirectory();
        const parts = pathOfLength(length);
        plant(inside, path, nest(parts, leaf));
        const tar = tarOf(inside, path);
        const last = (await readTar(tar)).at(-1);
        const expected = ["nix/store", storePathBase(path), ...parts].join("/");
        expect(expected).toHaveLength(length);
        expect(last?.name).toBe(kind === "file" ? expected : `${expected}/`);
        const base = storePathBase(path);
        expect(listTree(`${unpackWithGnuTar(tar)}/nix/store/${base}`)).toStrictEqual(
          listTree(`${inside}/${base}`, "of-an-image"),
        );
      });
    }
  }

  test("need an extended header only where ustar cannot hold them", async () => {
    const cases: readonly [string, Tree, boolean][] = [
      ["x".repeat(100 - ROOT_LENGTH - 1), "", false],
      ["y".repeat(100), "", false],
      ["z".repeat(101), "", true],
      ["t100", { link: "t".repeat(100) }, false],
      ["t101", { link: "t".repeat(101) }, true],
      ["d".repeat(99), { holds: {} }, false],
      ["e".repeat(100), { holds: {} }, true],
      ["\xc3\xa4", "", true],
      ["utf8-target", { link: "\xc3\xa4" }, true],
    ];
    for (const [name, tree, isExtended] of cases) {
      const inside = temporaryDirectory();
      const path = plant(inside, storePath("n"), { holds: { [name]: tree } });
      const entry = (await readTar(tarOf(inside, path))).at(-1);
      expect(entry?.pax !== null, name).toBe(isExtended);
    }
  });

  test("are cut where the prefix has at most 155 bytes and the name at most 100", () => {
    const cut = (prefixBytes: number, nameBytes: number) => {
      const path = `${"p".repeat(prefixBytes)}/${"n".repeat(nameBytes)}`;
      return headerOf({ type: "file", path, mode: 0o444, sizeBytes: 0, target: "" });
    };
    const fits = cut(155, 100);
    expect(fits).toHaveLength(512);
    expect(fits.toString("latin1", 345, 500)).toBe("p".repeat(155));
    expect(fits.toString("latin1", 0, 100)).toBe("n".repeat(100));
    for (const tooLong of [cut(156, 100), cut(155, 101), cut(300, 1)]) {
      expect(tooLong.toString("latin1", 156, 157)).toBe("x");
    }
  });

  test("beyond ASCII, even when no UTF-8, keep their bytes and the order of bytes", () => {
    const names = [
      "\xff\xfe",
      "\xc3\xa4",
      "\xef\xbf\xbd",
      "\xf0\x9f\x8d\x8e",
      "z",
      "\xed\xa0\x80",
      "new\nline",
    ];
    const holds = Object.fromEntries(names.map((name) => [name, `content of ${name.length}`]));
    const links = { "to-\xfe": { link: "\xff\xfe" }, dir: { holds: { "\x80": { holds } } } };
    assertUnpacksAsPlanted("bytes-1", { holds: { ...holds, ...links } });
    const tar = tarOf(store, storePath("bytes-1"));
    const extended = names.filter((name) => name > "\x7f").sort();
    const places = extended.map((name) => tar.indexOf(`-bytes-1/${name}\n`, 0, "latin1"));
    expect(places).not.toContain(-1);
    expect(places).toStrictEqual([...places].sort((a, b) => a - b));
  });

  test("of links are kept when dangling, absolute or long", () => {
    assertUnpacksAsPlanted("links-1", {
      holds: {
        absolute: { link: "/nix/store/00000000000000000000000000000000-other/bin/x" },
        dangling: { link: "../nowhere" },
        l99: { link: "a/".repeat(49).slice(0, 99) },
        l100: { link: "b".repeat(100) },
        l101: { link: "c".repeat(101) },
        l4000: { link: "dd/".repeat(1333) },
        self: { link: "self" },
      },
    });
  });

  test("that layers reserve for deleting files are refused", () => {
    const path = plant(store, storePath("whiteout-1"), { holds: { ".wh.bin": "" } });
    expect(() => tarOf(store, path)).toThrow(UnpackableError);
  });
});

describe("file content", () => {
  // Three headers and the file's own come first, so the chunk's end is met from both sides.
  const near = (size: number) => [size - 513, size - 512, size - 511, size - 1, size, size + 1];
  const sizes = [0, 1, ...near(1024), ...near(CHUNK - 5 * 512), ...near(CHUNK), ...near(2 * CHUNK)];

  test("of every size around blocks and chunks comes back", () => {
    const file = (size: number) => Buffer.alloc(size, `${size} `);
    const holds = Object.fromEntries(sizes.map((size) => [`s${size}`, file(size)]));
    assertUnpacksAsPlanted("sizes-1", { holds });
    for (const size of sizes) assertUnpacksAsPlanted(`alone-${size}`, file(size));
  });

  test("is written for each name of a hard-linked file, with the bytes of separate files", () => {
    const tree = { holds: { a: "same", b: "same", c: { holds: { a: "same" } } } };
    const path = plant(store, storePath("hard-1"), tree);
    const linked = temporaryDirectory();
    plant(linked, path, tree);
    const base = `${linked}/${storePathBase(path)}`;
    for (const name of ["b", "c/a"]) {
      rmSync(`${base}/${name}`);
      linkSync(`${base}/a`, `${base}/${name}`);
    }
    expect(listTree(base).join("\n")).toMatch(/ 3 names /);
    expect(tarOf(linked, path)).toStrictEqual(tarOf(store, path));
  });

  test("gives the same bytes whatever the times and modes of the builder", () => {
    const tree = { holds: { file: "x", run: { program: "y" }, dir: { holds: {} } } };
    const path = plant(store, storePath("modes-1"), tree);
    const before = tarOf(store, path);
    const base = `${store}/${storePathBase(path)}`;
    utimesSync(`${base}/file`, 5, 5);
    chmodSync(`${base}/file`, 0o4466);
    chmodSync(`${base}/run`, 0o500);
    chmodSync(`${base}/dir`, 0o1700);
    expect(tarOf(store, path)).toStrictEqual(before);
  });
});

describe("what cannot be packed", () => {
  test("a fifo is named", () => {
    const path = plant(store, storePath("fifo-1"), { holds: {} });
    execFileSync("mkfifo", [`${store}/${storePathBase(path)}/pipe`]);
    expect(() => tarOf(store, path)).toThrow(
      expect.objectContaining({ path: expect.stringMatching(/-fifo-1\/pipe$/) }),
    );
  });

  test("a socket is named", async () => {
    const inside = temporaryDirectory();
    const path = plant(inside, storePath("socket-1"), { holds: {} });
    const server = createServer();
    const place = `${inside}/${storePathBase(path)}/s`;
    await new Promise<void>((resolve) => server.listen(place, resolve));
    try {
      expect(() => tarOf(inside, path)).toThrow(UnpackableError);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  /** Packs a file of two chunks that changes to another size when its first chunk is handed on. */
  function packChanging(name: string, sizeBytes: number): void {
    const path = plant(store, storePath(name), Buffer.alloc(2 * CHUNK));
    const file = openSync(`${store}/${storePathBase(path)}`, "r+");
    const out = createChunkWriter(createChunkBuffer(), () => ftruncateSync(file, sizeBytes));
    writeStorePath(out, path, store);
  }

  test("a file that shrinks or grows while it is read is an error", () => {
    expect(() => packChanging("shrinks-1", 1.25 * CHUNK)).toThrow(/shrinks-1 changed while/);
    expect(() => packChanging("grows-1", 2 * CHUNK + 1)).toThrow(/grows-1 changed while/);
    packChanging("stays-1", 2 * CHUNK);
  });
});

describe("a file of 8 GiB and more", () => {
  const sized = (sizeBytes: number) =>
    headerOf({ type: "file", path: "big", mode: 0o444, sizeBytes, target: "" });

  test("has its size in an extended header, a smaller one in its own", () => {
    const below = sized(8 * 2 ** 30 - 1);
    expect(below).toHaveLength(512);
    expect(below.toString("latin1", 124, 135)).toBe("77777777777");
    const above = sized(8 * 2 ** 30);
    expect(above.toString("latin1")).toMatch(/19 size=8589934592\n/);
    expect(above.toString("latin1", 1024 + 124, 1024 + 136)).toBe("00000000000\0");
    // The content is missing, which tar says once it has listed the header.
    const list = (input: Buffer) => spawnSync("tar", ["-tvf", "-"], { input }).stdout.toString();
    expect(list(above)).toMatch(/ 8589934592 /);
    expect(list(below)).toMatch(/ 8589934591 /);
  });
});

describe("golden bytes", () => {
  test("the tar of the fixture tree has the digest it always had", () => {
    const path = plant(store, storePath("golden-1.0"), {
      holds: {
        bin: { holds: { golden: { program: "#!/bin/sh\necho golden\n" }, sh: { link: "golden" } } },
        empty: { holds: {} },
        share: {
          holds: {
            "\xc3\xa9t\xc3\xa9": "caf\xc3\xa9",
            [`${"long-".repeat(40)}name`]: Buffer.alloc(1500, "golden"),
            zero: "",
          },
        },
      },
    });
    const digest = createHash("sha256").update(tarOf(store, path)).digest("hex");
    expect(
      digest,
      "The bytes of layers have changed. If that is meant, raise FORMAT_VERSION in " +
        "origin/layers/compression.ts and put the actual value here.",
    ).toBe("8f188f76fb4889827fca3fb6e790391e9d450c82124c2c3e6b453c19be0e5e4f");
  });
});
