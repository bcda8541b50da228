// Asks a git remote what its refs point at. Credentials are the host's: ssh agent, git's helpers.

import { withoutHostPaths } from "../nix/nix-error.ts";
import { runProcess } from "../nix/spawn.ts";

export type RemoteRef =
  | { readonly kind: "commit"; readonly commit: string; readonly ref: string }
  | { readonly kind: "absent" }
  | { readonly kind: "unreachable"; readonly message: string };

const DEADLINE_MS = 20_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;
const MAX_REASON_CHARACTERS = 300;

/** The commit of a branch, else of a tag, else (for `HEAD`) of the default branch. */
export async function askRemote(
  url: string,
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<RemoteRef> {
  const wanted =
    name === "HEAD"
      ? ["HEAD"]
      : [`refs/heads/${name}`, `refs/tags/${name}`, `refs/tags/${name}^{}`];
  const result = await runProcess("git", ["ls-remote", "--quiet", "--", url, ...wanted], {
    // Never wait for a password that nobody is there to type.
    env: { ...env, GIT_TERMINAL_PROMPT: "0" },
    deadlineMs: DEADLINE_MS,
    maxStdoutBytes: MAX_OUTPUT_BYTES,
  });
  if (result.kind !== "exited") {
    const after = result.kind === "timed-out" ? ` within ${DEADLINE_MS / 1000} s` : "";
    return { kind: "unreachable", message: `git did not answer${after}` };
  }
  if (result.code !== 0) return { kind: "unreachable", message: reasonOf(result.stderr) };
  const refs = new Map(
    result.stdout.split("\n").flatMap((line): [string, string][] => {
      const match = /^([0-9a-f]{40})\t(.+)$/.exec(line);
      return match?.[1] && match[2] ? [[match[2], match[1]]] : [];
    }),
  );
  // An annotated tag is an object of its own; `^{}` names the commit it stands for.
  const [branch = "", tag = "", peeled = ""] = wanted;
  for (const [ref, found] of [
    [branch, refs.get(branch)],
    [tag, refs.get(peeled) ?? refs.get(tag)],
  ] as const) {
    if (found !== undefined) return { kind: "commit", commit: found, ref };
  }
  return { kind: "absent" };
}

/** Git says what is wrong first, and ends with advice. */
function reasonOf(stderr: string): string {
  const lines = stderr.trim().split("\n");
  const reason = lines.find((line) => /^(?:fatal|error): /.test(line)) ?? lines.at(-1) ?? "";
  return withoutHostPaths(reason.replace(/^(?:fatal|error): /, "")).slice(0, MAX_REASON_CHARACTERS);
}
