// The binary caches of the host's nix.conf, each asked by Nix itself: with its proxies, its netrc and
// its keys, and without what it remembers of earlier answers.

import { access, constants, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLimited } from "../../registry/http/body.ts";
import type { NixSettings } from "../nix/nix-settings.ts";
import { findNix, type NixTool } from "../nix/nix-tool.ts";
import { about, type Check, failed, notChecked, ok, type Seen, warning } from "./finding.ts";
import { PINNED_PATH } from "./needed-nix.ts";
import { infoCommand } from "./store-info.ts";
import type { Subject } from "./subject.ts";

const CACHE_DEADLINE_MS = 12_000;
const ASK_DEADLINE_MS = 10_000;
const CONNECT_SECONDS = 5;
const MAX_INFO_BYTES = 16 * 1024;
/** Each is two processes of Nix; nix.conf names a handful. */
const MAX_CACHES = 16;
/** Of `nix store verify`, added up. */
const UNTRUSTED = 2;
const NO_CACHES = "nix.conf names no binary cache, or substitute = false: everything is built here";

export function cacheChecks(subject: Subject): readonly Check[] {
  const check = (name: string, look: Check["look"]): Check => ({
    ...{ group: "caches", check: name, isCheap: false, look, deadlineMs: 3 * CACHE_DEADLINE_MS },
  });
  return [
    check("substituter", (signal) => lookAtCaches(subject, signal)),
    check("netrc", async () => {
      const settings = await subject.settings();
      if (settings === undefined) return notChecked("Nix does not say which");
      return await lookAtNetrc(settings);
    }),
  ];
}

async function lookAtCaches(
  subject: Subject,
  signal: AbortSignal,
): Promise<Seen | readonly Seen[]> {
  const settings = await subject.settings();
  if (settings === undefined) return notChecked("Nix does not say which");
  const urls = settings.substituters.slice(0, MAX_CACHES);
  if (urls.length === 0) {
    const known = await subject.source();
    return "source" in known && known.source.kind === "nixpkgs"
      ? warning(NO_CACHES, "set substituters = https://cache.nixos.org in nix.conf")
      : ok(NO_CACHES);
  }
  // Nix remembers for a week that a cache has answered, and for an hour what it has not.
  const cachePath = await mkdtemp(join(tmpdir(), "nixport-doctor-"));
  try {
    const nix = await findNix({ env: { ...(await subject.nixEnv()), XDG_CACHE_HOME: cachePath } });
    if (nix === undefined) return notChecked("there is no Nix to ask");
    const seen = await Promise.all(
      urls.map(async (url) => about(publicUrl(url), await lookAtCache(nix, url, signal))),
    );
    return settings.substituters.length > MAX_CACHES
      ? [...seen, notChecked(`${settings.substituters.length - MAX_CACHES} more`)]
      : seen;
  } finally {
    await rm(cachePath, { recursive: true, force: true });
  }
}

async function lookAtCache(nix: NixTool, url: string, signal: AbortSignal): Promise<Seen> {
  const ask = (command: readonly string[]) =>
    nix.run(
      "nix",
      [
        ...[...command, "--store", url, "--extra-experimental-features", "nix-command"],
        ...["--option", "download-attempts", "1"],
        ...["--option", "connect-timeout", String(CONNECT_SECONDS)],
      ],
      { deadlineMs: ASK_DEADLINE_MS, signal },
    );
  const [reached, told] = await Promise.all([
    ask(["store", infoCommand(nix)]),
    askDirectly(url, signal),
  ]);
  if (reached.kind !== "exited" || reached.code !== 0) {
    const why = "stderr" in reached ? lastError(reached.stderr) || reached.kind : reached.kind;
    // Nix takes a refusal for the absence of a cache.
    if (told?.status === 401 || told?.status === 403) {
      return failed(
        `answers ${told.status}, which is a refusal`,
        "put its credentials into the file that netrc-file in nix.conf names, or see that those there are right",
      );
    }
    return failed(
      `does not answer: ${why}`,
      "see that this machine reaches it, or take it out of substituters in nix.conf: until then each pull that needs it waits for it",
    );
  }
  const rank = told?.priority === undefined ? "" : `, priority ${told.priority}`;
  // A path that the caches of nixpkgs have, whichever.
  const verified = await ask(["store", "verify", "--no-contents", PINNED_PATH]);
  if (verified.kind === "exited" && verified.code === 0) {
    return ok(`answers${rank}, signs with a key that is trusted`);
  }
  if (verified.kind === "exited" && verified.code === UNTRUSTED) {
    return failed(
      `answers${rank}, and signs with no key that is trusted`,
      "add its public key to trusted-public-keys in nix.conf; nothing of it is used until then",
    );
  }
  return ok(`answers${rank}; its key was not seen, for it lacks the path that is looked at`);
}

interface DirectAnswer {
  readonly status: number;
  readonly priority: string | undefined;
}

/** Of caches over HTTP that this program reaches without a proxy; the rest is Nix's own to know. */
async function askDirectly(url: string, signal: AbortSignal): Promise<DirectAnswer | undefined> {
  if (!/^https?:/.test(url)) return undefined;
  try {
    const place = new URL(url);
    place.pathname = `${place.pathname.replace(/\/$/, "")}/nix-cache-info`;
    const deadline = AbortSignal.timeout(CONNECT_SECONDS * 1000);
    const response = await fetch(place, { signal: AbortSignal.any([signal, deadline]) });
    const bytes = await readLimited(response.body, MAX_INFO_BYTES);
    const text = new TextDecoder().decode(bytes ?? new Uint8Array());
    return { status: response.status, priority: /^Priority: (\d+)$/m.exec(text)?.[1] };
  } catch {
    // Nix has been asked whether it answers.
    return undefined;
  }
}

async function lookAtNetrc({ netrcFile }: NixSettings): Promise<Seen> {
  try {
    await access(netrcFile, constants.R_OK);
    return ok(`${netrcFile} is there`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return ok(`no ${netrcFile}`);
    return warning(
      `${netrcFile} cannot be read by this user`,
      "caches and sources that want credentials get none unless the daemon fetches",
    );
  }
}

/** Queries hold paths of keys and credentials of clouds. */
function publicUrl(url: string): string {
  return url.replace(/^([^/]*\/\/)[^/?#]*@/, "$1").replace(/\?.*$/s, "?…");
}

function lastError(stderr: string): string {
  const lines = stderr.trim().split("\n");
  const last = lines.findLast((line) => /error: /.test(line)) ?? lines.at(-1) ?? "";
  return last.replace(/^\s*error: /, "").trim();
}
