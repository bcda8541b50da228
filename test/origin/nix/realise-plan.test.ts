// What Nix 2.8 and 2.26 said that they would build and fetch, with the names of paths shortened.

import { describe, expect, test } from "vitest";
import { parsePlan, refuseBuilds } from "../../../origin/nix/realise-plan.ts";

const TOP = "/nix/store/mgyjs009fnsvy5841mgm83f75irlggyq-top-1";
const DEP = "/nix/store/hnm4v3sispad5c008ll12c5zbn2qp3wm-dep-1";
const HOST = "127.0.0.1:36477";
const CACHE = `http://${HOST}`;

describe("parsePlan", () => {
  test("reads what is to be built and fetched, in the words of all versions", () => {
    const plan = parsePlan(`these 2 derivations will be built:
  ${DEP}.drv
  ${TOP}.drv
these 2 paths will be fetched (0.3 KiB download, 0.3 KiB unpacked):
  ${DEP}
  ${TOP}
`);
    expect(plan).toStrictEqual({
      ...{ kind: "plan", builds: [`${DEP}.drv`, `${TOP}.drv`] },
      ...{ fetches: [DEP, TOP], unknown: [], leftOut: undefined },
    });
  });

  test("reads one of each, and what nothing is known of", () => {
    const plan =
      parsePlan(`warning: ignoring the client-specified setting 'narinfo-cache-negative-ttl', because it is a restricted setting and you are not a trusted user
this derivation will be built:
  ${TOP}.drv
this path will be fetched (0.00 MiB download, 0.00 MiB unpacked):
  ${DEP}
don't know how to build these paths (may be caused by read-only store access):
  ${TOP}
`);
    expect([plan.builds, plan.fetches, plan.unknown]).toStrictEqual([[`${TOP}.drv`], [DEP], [TOP]]);
    expect(plan.leftOut).toBeUndefined();
  });

  // With `fallback = true` in nix.conf this is no error to Nix 2.26, which then would build.
  test("distrusts what a plan would build when a cache was left out", () => {
    const plan = parsePlan(`disabling binary cache '${CACHE}' for 60 seconds
error: unable to download '${CACHE}/hnm4.narinfo': HTTP error 500

       response body:

       a fault
this derivation will be built:
  ${TOP}.drv
`);
    const caches = [CACHE];
    const missing = { build: "missing", maxSourceBuilds: 20, caches } as const;
    expect(refuseBuilds(missing, plan)).toStrictEqual({
      ...{ kind: "cache-failed", cache: HOST, reason: "HTTP error 500" },
    });
    expect(refuseBuilds({ ...missing, build: "always" }, plan)).toBeUndefined();
  });
});
