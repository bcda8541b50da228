// How passwords are kept and compared.

import { describe, expect, test } from "vitest";
import {
  hashPassword,
  isPassword,
  makeSecret,
  NOBODYS_HASH,
  parsePasswordHash,
} from "../../../registry/access/password.ts";

describe("a password", () => {
  test("is right where it is the one that was hashed, and no other", async () => {
    const hash = await hashPassword("correct horse", 1000);
    expect(hash).toMatch(/^pbkdf2-sha256\$1000\$[\w-]{22}\$[\w-]{43}$/);
    expect(await isPassword("correct horse", hash)).toBe(true);
    for (const wrong of ["", "correct hors", "correct horse ", "Correct horse"]) {
      expect(await isPassword(wrong, hash)).toBe(false);
    }
  });

  test("is kept otherwise each time", async () => {
    const [one, other] = await Promise.all([
      hashPassword("same", 1000),
      hashPassword("same", 1000),
    ]);
    expect(one).not.toBe(other);
  });

  test("is the same however a keyboard composes its letters", async () => {
    expect(await isPassword("cafe\u0301", await hashPassword("caf\u00e9", 1000))).toBe(true);
  });

  test("is none of nobody's", async () => {
    expect(await isPassword("", NOBODYS_HASH)).toBe(false);
  });

  test("is compared with PBKDF2 as everybody computes it", async () => {
    // PBKDF2-HMAC-SHA-256 of "password" and the salt "saltSALTsaltSALT", 1000 rounds, by Python's hashlib.
    const hash = parsePasswordHash(
      "pbkdf2-sha256$1000$c2FsdFNBTFRzYWx0U0FMVA$RviVuqoYXwJlwdpwjXmZU95ZL1dsRTi366mc7XAO51s",
    );
    expect(hash && (await isPassword("password", hash))).toBe(true);
  });
});

describe("a secret", () => {
  test("is right where it is the one that was made", async () => {
    const { secret, hash } = await makeSecret();
    expect([secret.length, hash]).toStrictEqual([43, expect.stringMatching(/^sha256\$[\w-]{43}$/)]);
    expect(await isPassword(secret, hash)).toBe(true);
    expect(await isPassword(`${secret}x`, hash)).toBe(false);
  });
});

describe("a hash", () => {
  const end = `${"A".repeat(22)}$${"A".repeat(43)}`;
  test.for([
    ["more rounds than a Worker computes", `pbkdf2-sha256$100001$${end}`],
    ["so few that guessing is cheap", `pbkdf2-sha256$0999$${end}`],
    ["another function", `pbkdf2-sha1$1000$${end}`],
    ["a short salt", `pbkdf2-sha256$1000$AAAA$${"A".repeat(43)}`],
    ["a short hash", `sha256$${"A".repeat(42)}`],
    ["the password itself", "correct horse"],
  ])("is none that says %s", ([, text = ""]) => {
    expect(parsePasswordHash(text)).toBeUndefined();
  });
});
