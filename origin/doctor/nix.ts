// The host's Nix: whether it is there and new enough, how it has its store, and what it may do.

import { existsSync } from "node:fs";
import type { NixSettings } from "../nix/nix-settings.ts";
import { findNix } from "../nix/nix-tool.ts";
import { isOlder } from "../nix/version.ts";
import { type Check, failed, notChecked, ok, type Seen, warning } from "./finding.ts";
import { describeNeed, NEWER_NIX, neededNix } from "./needed-nix.ts";
import type { StoreInfo } from "./store-info.ts";
import type { FoundNix, Subject, SubjectSource } from "./subject.ts";

const NO_NIX = "there is no Nix to ask";
const START_DAEMON =
  "start the daemon (systemctl start nix-daemon.socket), and see that this user may reach /nix/var/nix/daemon-socket (its group, and allowed-users in nix.conf)";
const NO_SETTINGS = "Nix does not say what its nix.conf comes to";

export function nixChecks(subject: Subject): readonly Check[] {
  const check = (name: string, look: Check["look"]): Check => ({
    ...{ group: "nix", check: name, isCheap: true, look },
  });
  const ofStore = (look: (info: StoreInfo) => Seen | Promise<Seen>) => async () => {
    const info = await subject.store();
    return info === undefined ? notChecked(NO_NIX) : look(info);
  };
  return [
    check("found", async () => describeFound(await subject.findNix())),
    check("version", async () => checkVersion(await subject.findNix(), await subject.source())),
    check("store", async () => {
      const found = await subject.findNix();
      return found.kind === "storeless" ? describeProblem(found.why) : ofStore(describeStore)();
    }),
    check("trusted", ofStore(describeTrust)),
    check(
      "sandbox",
      ofStore((info) => describeSandbox(subject, info)),
    ),
    check("jobs", async () => checkJobs(await subject.settings())),
  ];
}

function describeFound(found: FoundNix): Seen {
  switch (found.kind) {
    case "found":
      return ok(`Nix ${found.nix.version}, ${found.path}`);
    case "storeless":
      return ok(`Nix ${found.version}, ${found.path}`);
    case "absent":
      return failed(
        "no Nix on PATH, nor where its installers put it",
        "install Nix (Debian: apt-get install nix-bin; elsewhere https://nixos.org/download), or run npm start, which does it on Debian",
      );
    case "silent":
      return failed(found.why, "run nix --version by hand and see what keeps it from answering");
    default:
      return found satisfies never;
  }
}

async function checkVersion(found: FoundNix, known: SubjectSource): Promise<Seen> {
  if (found.kind === "absent" || found.kind === "silent") return notChecked(NO_NIX);
  const { version } = found.kind === "found" ? found.nix : found;
  const needed = await neededNix("source" in known ? known.source : null);
  const saw = `${version}; the package source ${describeNeed(needed)}`;
  if (!isOlder(version, needed.version)) return ok(saw);
  // Of a branch that needs less than is usual, only its own tree says so.
  return needed.isKnown ? failed(saw, NEWER_NIX) : warning(saw, NEWER_NIX);
}

/** Its first line says what is wrong, and others what to do. */
function describeProblem(why: string): Seen {
  const [saw = "", ...toDo] = why.split("\n");
  const isRefused = /daemon-socket|connect to socket/.test(why);
  return failed(saw, [...(isRefused ? [START_DAEMON] : []), ...toDo].join("; ") || "as it says");
}

function describeStore(info: StoreInfo): Seen {
  switch (info.kind) {
    case "silent":
      return failed(
        `the store does not answer: ${info.why}`,
        info.isDaemon ? START_DAEMON : "run nix store ping by hand and see what keeps it",
      );
    case "store": {
      const mode = info.isDaemon ? "by its daemon" : "single-user";
      return ok(`${mode}, ${info.url}, at ${info.directory}`);
    }
    default:
      return info satisfies never;
  }
}

function describeTrust(info: StoreInfo): Seen {
  if (info.kind !== "store") return notChecked("the store does not answer");
  if (!info.isDaemon) return ok("this user has the store for itself");
  if (info.isTrusted === null) return notChecked("this version of Nix does not say");
  if (info.isTrusted) return ok("the daemon trusts this user");
  return ok("the daemon does not trust this user, who takes nix.conf as it is");
}

/** Of a user whom it does not trust, a daemon takes no setting of this kind: the host's counts. */
async function describeSandbox(subject: Subject, info: StoreInfo): Promise<Seen> {
  const isHostsOwn = info.kind === "store" && info.isDaemon && info.isTrusted !== true;
  const settings = await (isHostsOwn ? hostSettings(subject) : subject.settings());
  if (settings === undefined) return notChecked(NO_SETTINGS);
  return ok(settings.sandbox === true ? "on" : settings.sandbox === false ? "off" : "relaxed");
}

async function hostSettings({ nixEnv }: Subject): Promise<NixSettings | undefined> {
  const { NIX_CONFIG: _, ...env } = await nixEnv();
  return (await findNix({ env }))?.settings;
}

function checkJobs(settings: NixSettings | undefined): Seen {
  if (settings === undefined) return notChecked(NO_SETTINGS);
  const { maxJobs, builders } = settings;
  const machines = countBuilders(builders);
  const saw = `max-jobs ${maxJobs}, ${machines}`;
  if (maxJobs > 0 || machines !== "no other builders") return ok(saw);
  return warning(
    `${saw}: what no cache has cannot be built`,
    "set max-jobs in nix.conf to 1 or more, or name builders",
  );
}

/** How many and no more: a builder's line names users and keys. */
function countBuilders(builders: string): string {
  const file = /^@(.*)$/.exec(builders.trim())?.[1];
  if (file !== undefined && !existsSync(file)) return "no other builders";
  if (file !== undefined) return `builders of ${file}`;
  const count = builders.split(/[;\n]/).filter((line) => line.trim() !== "").length;
  return count === 0 ? "no other builders" : `${count} other builders`;
}
