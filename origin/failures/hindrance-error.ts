// What a client is told where nothing is wrong with a package: 503, since none of it is said by the
// package set, and none was built in vain.

import { publicText } from "../../registry/failures/public-text.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { Hindrance } from "../nix/hindrance.ts";

export interface HindranceDetail {
  readonly reason: Hindrance["kind"];
  /** `cache-failed`: the host of the cache, where it is known. */
  readonly cache?: string | null;
  /** What is wrong. */
  readonly message?: string;
  /** `source-unreachable`. */
  readonly derivation?: string;
  /** `not-in-caches`: how many there are, the first of them, and how many might be built. */
  readonly count?: number;
  readonly derivations?: readonly string[];
  readonly limit?: number | null;
}

const PASSING_RETRY_SECONDS = 30;
const HOST_RETRY_SECONDS = 60;
/**
 * A cache gets what it lacks within hours, if at all, and an operator may raise a limit: so this is
 * no 404, which edges and clients take for good. Who asks again at once costs one question to Nix.
 */
const CACHES_RETRY_SECONDS = 3600;

export function hindranceError(hindrance: Hindrance): RegistryError {
  const { kind: reason } = hindrance;
  switch (hindrance.kind) {
    case "cache-failed": {
      const { cache } = hindrance;
      const message = publicText(hindrance.reason);
      return unavailable(
        { reason, cache, message },
        `the binary cache ${cache ?? "of this registry"} does not give what it should have: ${message}; it is not built from source instead, so try again later`,
        PASSING_RETRY_SECONDS,
      );
    }
    case "source-unreachable": {
      const { derivation } = hindrance;
      const message = publicText(hindrance.reason);
      return unavailable(
        { reason, derivation, message },
        `what ${derivation} is made of cannot be downloaded: ${message}; try again later`,
        PASSING_RETRY_SECONDS,
      );
    }
    case "host-failed": {
      const message = publicText(hindrance.reason);
      return unavailable(
        { reason, message },
        `the host of this registry cannot do it now: ${message}; try again later`,
        HOST_RETRY_SECONDS,
      );
    }
    case "not-in-caches": {
      const { count, derivations, limit } = hindrance;
      return unavailable(
        { reason, count, derivations, limit },
        `${lacking(derivations, count)}, and this registry ${allowed(limit)}`,
        CACHES_RETRY_SECONDS,
      );
    }
    default:
      return hindrance satisfies never;
  }
}

function lacking(derivations: readonly string[], count: number): string {
  const names = derivations.map((path) => path.replace(/^.*\/[0-9a-z]{32}-|\.drv$/g, ""));
  const more = count > names.length ? ` and ${count - names.length} more` : "";
  return count === 1
    ? `no binary cache has what the derivation ${names.join()} makes`
    : `no binary cache has what ${count} derivations make (${names.join(", ")}${more})`;
}

function allowed(limit: number | null): string {
  return limit === null
    ? "builds nothing from source (NIXPORT_BUILD=never)"
    : `builds ${limit} for one pull at most (NIXPORT_MAX_SOURCE_BUILDS)`;
}

function unavailable(
  detail: HindranceDetail,
  message: string,
  retryAfterSeconds: number,
): RegistryError {
  return new RegistryError("UNAVAILABLE", message, { detail: [detail], retryAfterSeconds });
}
