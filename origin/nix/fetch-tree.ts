// Brings the files of a package source into the store with Nix's own fetchers, so that the host's
// proxies, netrc, retries and certificates count.

import * as v from "valibot";
import { parseJson } from "../../registry/http/json.ts";
import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";
import { type FetchProblem, fetchProblem } from "./fetch-problem.ts";
import { notStarted } from "./nix-failed.ts";
import { createNixLog, type Transfers } from "./nix-log.ts";
import type { NixProgram } from "./nix-runner.ts";
import type { NixTool } from "./nix-tool.ts";
import { featureOptions, type PinnedSource } from "./pinned-source.ts";

export interface FetchLimits {
  readonly deadlineMs: number;
  /** Aborted when nobody will want the files any more, or the time is over. */
  readonly signal: AbortSignal;
  readonly onTransfer: (transfers: Transfers) => void;
}

export type FetchedTree =
  /** The tree itself first, and the others that evaluating it needs. */
  | { readonly kind: "fetched"; readonly paths: readonly [StorePath, ...StorePath[]] }
  | FetchProblem
  | { readonly kind: "stopped" };

/**
 * Nix up to 2.19 keeps for an hour what a server sent in place of an archive. Of a whole one it asks
 * whether that has changed.
 */
const ASK_AGAIN = ["--option", "tarball-ttl", "0"];

/** `from` is what an error says was asked. */
export async function fetchTree(
  nix: NixTool,
  what: { readonly archive: string } | { readonly source: PinnedSource },
  from: string,
  limits: FetchLimits,
): Promise<FetchedTree> {
  const features = "source" in what ? featureOptions(what.source) : [];
  const argument =
    "source" in what ? ["source", JSON.stringify(what.source)] : ["archive", what.archive];
  const args = [
    ...["--eval", "--json", "--read-write-mode", `${nix.expressions}/tree.nix`],
    ...[...features, "--argstr", ...argument],
  ];
  const found = await fetch(nix, "nix-instantiate", args, from, limits);
  if (found.kind !== "answered") return found;
  const path = parseStorePath(typeof found.json === "string" ? found.json : "");
  if (path === undefined) throw new Error(`nix fetched ${from} to no store path`);
  return { kind: "fetched", paths: [path] };
}

/** A locked flake with all its inputs. */
export async function fetchFlake(
  nix: NixTool,
  url: string,
  from: string,
  limits: FetchLimits,
): Promise<FetchedTree> {
  const args = [
    ...["--extra-experimental-features", "nix-command flakes", "flake", "archive", "--json"],
    // What an input means must be written beside the flake, not found in a registry of this host.
    ...["--no-update-lock-file", "--option", "use-registries", "false", "--", url],
  ];
  const found = await fetch(nix, "nix", args, from, limits);
  if (found.kind !== "answered") return found;
  const [tree, ...inputs] = new Set(pathsOf(v.parse(archiveSchema, found.json)));
  if (tree === undefined) throw new Error(`nix fetched ${from} to no store path`);
  return { kind: "fetched", paths: [tree, ...inputs] };
}

interface Archive {
  readonly path: string;
  readonly inputs: Readonly<Record<string, Archive>>;
}

const archiveSchema: v.GenericSchema<unknown, Archive> = v.object({
  path: v.string(),
  inputs: v.optional(
    v.record(
      v.string(),
      v.lazy(() => archiveSchema),
    ),
    {},
  ),
});

/** An input may lie in a folder of another tree, of which the tree is named too. */
function pathsOf({ path, inputs }: Archive): readonly StorePath[] {
  const own = parseStorePath(path);
  return [...(own === undefined ? [] : [own]), ...Object.values(inputs).flatMap(pathsOf)];
}

type Answered = { readonly kind: "answered"; readonly json: unknown };

async function fetch(
  nix: NixTool,
  program: NixProgram,
  args: readonly string[],
  from: string,
  { deadlineMs, signal, onTransfer }: FetchLimits,
): Promise<Answered | FetchProblem | { readonly kind: "stopped" }> {
  let log = createNixLog();
  const onStderrLine = (line: string) => {
    log.read(line);
    onTransfer(log.transfers());
  };
  const onAgain = () => {
    log = createNixLog();
  };
  const result = await nix.run(program, ["--log-format", "internal-json", ...ASK_AGAIN, ...args], {
    deadlineMs,
    signal,
    ...{ onStderrLine, onAgain },
  });
  switch (result.kind) {
    case "exited":
      if (result.code !== 0) return fetchProblem(log.messages(), from);
      return { kind: "answered", json: parseJson(result.stdout) };
    case "timed-out":
    case "cancelled":
      return { kind: "stopped" };
    case "signalled":
      return { kind: "unreachable", message: `${from}: fetching ended with ${result.signal}` };
    case "not-started":
      throw notStarted(program, result);
    case "too-much-output":
      throw new Error(`${program} wrote more than ${result.limitBytes} bytes`);
    default:
      return result satisfies never;
  }
}
