// What an edge tells of pulls is noted, and nothing that anybody else says.

import { describe, expect, onTestFinished, test } from "vitest";
import { createPullNotes, parsePullNotes } from "../../../origin/pulled/pull-notes.ts";
import { takeToldPulls } from "../../../origin/pulling/told-pulls.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import {
  MAX_PULLED_BODY_BYTES,
  MAX_PULLED_PER_BODY,
  type PulledImage,
} from "../../../registry/between/pulled-images.ts";
import { type Party, type SecretKey, signRequest } from "../../../registry/between/token.ts";
import { errorResponse, RegistryError } from "../../../registry/http/error.ts";
import { PULLED_PATH } from "../../../registry/http/route.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { bytesOf } from "../../contract/blob-store.ts";
import { digestOfText, packingIdOf, pinOf, tagOf } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";

const NOW_MS = Date.UTC(2026, 5, 1, 12);
const SECRET: SecretKey = { id: "1", bytes: bytesOf("a secret of the tests") };
const OTHER: SecretKey = { id: "1", bytes: bytesOf("a secret of others") };
const GIT: PulledImage = {
  manifests: [digestOfText("git")],
  of: {
    ...{ recipe: "cacert/git", tag: tagOf("latest"), pin: pinOf("1".repeat(40)) },
    packing: packingIdOf("gzip-1"),
  },
};
const KEPT: PulledImage = { manifests: [digestOfText("kept")], of: null };

interface Telling {
  readonly from?: Party;
  readonly secret?: SecretKey | null;
  readonly method?: string;
  /** Of what the token says instead. */
  readonly signed?: string;
  readonly atMs?: number;
}

async function requestOf(body: string, telling: Telling = {}): Promise<Request> {
  const { from = "edge", secret = SECRET, method = "POST", signed = body } = telling;
  const bodyDigest = method === "GET" ? undefined : await digestOf(bytesOf(signed));
  const head = { method, path: PULLED_PATH, bodyDigest };
  const token = secret && (await signRequest([secret], from, head, telling.atMs ?? NOW_MS));
  return new Request(`http://origin${PULLED_PATH}`, {
    method,
    headers: token === null ? {} : { Authorization: `Bearer ${token}` },
    ...(method !== "GET" && { body }),
  });
}

async function tell(request: Request) {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  const pulls = createPullNotes({ store, now: () => NOW_MS, log: readableLog().log });
  const options = { pulls, secretKeys: [SECRET], now: () => NOW_MS };
  const response = await takeToldPulls(options, request, PULLED_PATH).catch((error: unknown) => {
    if (error instanceof RegistryError) return errorResponse(error, request.method);
    throw error;
  });
  await pulls.close();
  const notes = [];
  for await (const { key } of store.list("pulls/")) {
    notes.push(...parsePullNotes((await store.lookup(key)) ?? new Uint8Array()));
  }
  return { status: response.status, notes };
}

const bodyOf = (images: readonly unknown[]) => JSON.stringify({ images });

describe("POST of pulls", () => {
  test("notes them as if they were answered here", async () => {
    const { status, notes } = await tell(await requestOf(bodyOf([GIT, KEPT])));
    expect(status).toBe(204);
    expect(notes).toStrictEqual([GIT, KEPT].map((each) => ({ ...each, pulledAtMs: NOW_MS })));
  });

  test("notes what is told by its digest with what is known of it", async () => {
    const again = { manifests: GIT.manifests, of: null };
    const { notes } = await tell(await requestOf(bodyOf([GIT, again])));
    expect(notes).toStrictEqual([{ ...GIT, pulledAtMs: NOW_MS }]);
  });

  const many = Array.from({ length: MAX_PULLED_PER_BODY + 1 }, () => KEPT);
  const refusals: readonly [what: string, status: number, body: string, telling?: Telling][] = [
    ["of nobody", 401, bodyOf([GIT]), { secret: null }],
    ["of somebody without the secret", 401, bodyOf([GIT]), { secret: OTHER }],
    ["of an origin", 401, bodyOf([GIT]), { from: "origin" }],
    ["of an hour ago", 401, bodyOf([GIT]), { atMs: NOW_MS - 3_600_000 }],
    ["that were signed as others", 401, bodyOf([GIT]), { signed: bodyOf([KEPT]) }],
    ["that are asked for", 405, "", { method: "GET" }],
    ["that are none", 400, '{"images":[{}]}'],
    ["that are no JSON", 400, "{"],
    ["of which there are too many", 400, bodyOf(many)],
    ["of too many bytes", 400, bodyOf([GIT]) + " ".repeat(MAX_PULLED_BODY_BYTES)],
  ];
  test.for(refusals)("notes none %s: %i", async ([, status, body, telling]) => {
    expect(await tell(await requestOf(body, telling))).toStrictEqual({ status, notes: [] });
  });
});
