// Which digest of one tag each client got: noted while real clients pull through a proxy, and shown
// as the table of a page.

import { expect } from "vitest";
import { VARIANT_HEADER } from "../../registry/http/negotiation.ts";
import { VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { markdownTable, readTable, writeTable } from "../client-tables.ts";
import type { ProxiedAnswer, RegistryProxy } from "./proxy.ts";

export interface Noted {
  readonly client: string;
  readonly answer: ProxiedAnswer;
}

/** Has a client pull, and says what it got of the tag: of all its requests the same. */
export async function noteDigest<Result>(
  { answers }: RegistryProxy,
  pull: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly answer: ProxiedAnswer }> {
  const from = answers.length;
  const result = await pull();
  const ofTag = answers.slice(from).filter(({ path }) => path.endsWith("/manifests/latest"));
  expect(new Set(ofTag.map(({ digest }) => digest)).size, "digests of one tag").toBe(1);
  const [answer] = ofTag;
  if (answer === undefined) throw new Error("the client asked for no tag");
  return { result, answer };
}

/** The digest of a tag in each form, as the registry names it to who asks for that form. */
export async function digestsByForm(
  registryUrl: string,
  name: string,
): Promise<ReadonlyMap<Variant, string>> {
  const digests = new Map<Variant, string>();
  for (const variant of VARIANTS) {
    const headers = { [VARIANT_HEADER]: variant };
    const answer = await fetch(`${registryUrl}/v2/${name}/manifests/latest`, { headers });
    digests.set(variant, answer.headers.get("Docker-Content-Digest") ?? "");
    await answer.body?.cancel();
  }
  return digests;
}

interface Row {
  readonly client: string;
  readonly agent: string;
  readonly form: string;
  readonly digest: string;
}

function rowOf({ client, answer }: Noted, digests: ReadonlyMap<Variant, string>): Row {
  const agent = answer.requestHeaders["user-agent"]?.split(" ")[0];
  const form = VARIANTS.find((variant) => digests.get(variant) === answer.digest) ?? "";
  return {
    ...{ client, form, digest: `\`${answer.digest}\`` },
    agent: agent === undefined ? "" : `\`${agent}\``,
  };
}

const cellsOf = ({ client, agent, form, digest }: Row) => [client, agent, form, digest];

export function writeDigests(
  page: string,
  noted: readonly Noted[],
  digests: ReadonlyMap<Variant, string>,
): void {
  const rows = new Map(noted.map((each) => [each.client, cellsOf(rowOf(each, digests))]));
  const byClient = [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, cells]) => cells);
  writeTable(
    page,
    "digests",
    markdownTable([["pulled by", "calls itself", "form", "digest"], ...byClient]),
  );
}

/**
 * The page has what these clients got. A row of another version than the one at hand must still name
 * the image of today.
 */
export function expectDigests(
  page: string,
  noted: readonly Noted[],
  digests: ReadonlyMap<Variant, string>,
): void {
  const rows = noted.map((each) => rowOf(each, digests));
  const known = [...digests.values()].map((digest) => `\`${digest}\``);
  for (const line of readTable(page, "digests").split("\n").slice(2)) {
    const cells = line.slice(2, -2).split(" | ");
    const [client, agent, , digest] = cells;
    expect(known, line).toContain(digest);
    const own = rows.find((row) => row.client === client && row.agent === agent);
    if (own !== undefined) expect(cells).toStrictEqual(cellsOf(own));
  }
}
