// Where packages come from: which source that is, whether it answers, and whether it loads.

import { systemOf } from "../../registry/naming/recipe.ts";
import { lookUp } from "../nix/look-up.ts";
import { describeSource } from "../sources/source.ts";
import { type Check, failed, notChecked, ok, type Seen } from "./finding.ts";
import { describeNeed, neededNix } from "./needed-nix.ts";
import type { Subject } from "./subject.ts";

/** Of git, which is given 20 s. */
const REACH_DEADLINE_MS = 30_000;
/** Fetching nixpkgs for the first time is part of it. */
const LOAD_DEADLINE_MS = 240_000;

const NO_SOURCE = "there is no source to ask";

export function sourceChecks(subject: Subject): readonly Check[] {
  const check = (name: string, look: Check["look"], deadlineMs: number): Check => ({
    ...{ group: "source", check: name, isCheap: false, look, deadlineMs },
  });
  return [
    check("which", () => which(subject), REACH_DEADLINE_MS),
    check("answers", () => answers(subject), REACH_DEADLINE_MS),
    check("loads", (signal) => loads(subject, signal), LOAD_DEADLINE_MS),
  ];
}

async function which({ source }: Subject): Promise<Seen> {
  const known = await source();
  switch (known.kind) {
    case "wrong":
      return notChecked("the configuration is wrong");
    case "would-make":
      return ok(
        "none is configured: npm start would make a set of Debian's archive, since nixpkgs cannot be reached",
      );
    case "configured":
    case "would-take": {
      const need = describeNeed(await neededNix(known.source));
      const described = `${describeSource(known.source)}, which ${need}`;
      return ok(
        known.kind === "configured"
          ? described
          : `none is configured: npm start would take ${described}`,
      );
    }
    default:
      return known satisfies never;
  }
}

async function answers({ resolution }: Subject): Promise<Seen> {
  const resolved = await resolution();
  switch (resolved?.kind) {
    case undefined:
      return notChecked(NO_SOURCE);
    case "pinned":
      return ok(`latest is ${resolved.pin}`);
    case "unreachable":
      return failed(
        resolved.message,
        "see that this machine reaches it: network, proxy, git's credentials; pulls of what is known go on",
      );
    case "unknown-tag":
      return failed(
        resolved.message,
        "see NIXPORT_DEFAULT_TAG and the variable that names the source",
      );
    default:
      return resolved satisfies never;
  }
}

/** cacert is in every image, so a source without it can serve nothing. */
async function loads(subject: Subject, signal: AbortSignal): Promise<Seen> {
  const [found, resolved] = await Promise.all([subject.findNix(), subject.resolution()]);
  if (found.kind !== "found" || resolved?.kind !== "pinned") return notChecked(NO_SOURCE);
  if ((await subject.store())?.kind === "silent") return notChecked("the store does not answer");
  const system = systemOf(process.arch === "arm64" ? "arm64" : "amd64");
  const [answer] = await lookUp(found.nix, resolved.source, system, ["cacert"], signal);
  const lookup = answer?.lookup;
  if (lookup?.kind === "found") return ok(`cacert is ${lookup.name}`);
  const message = lookup !== undefined && "message" in lookup ? lookup.message : lookup?.kind;
  return failed(
    `cacert, which every image has: ${message}`,
    lookup?.kind === "unreachable"
      ? "see that Nix can fetch it: network, proxy, netrc-file and access-tokens in nix.conf"
      : "a package set needs cacert and iana-etc, and a Nix that it accepts",
  );
}
