// How an origin by itself tells who its clients are, by the rules that its operator has given it. An edge
// in front of it has rules of its own, and signs what it asks for.

import { randomBytes } from "node:crypto";
import { type Attempts, createAttempts } from "../../registry/access/attempts.ts";
import type { Identifying } from "../../registry/access/credentials.ts";
import { createIssuerKeys, type IssuerKeys } from "../../registry/access/issuer-keys.ts";
import type { AccessSettings } from "../../registry/access/settings.ts";
import type { SecretKey } from "../../registry/between/token.ts";
import type { Log } from "../log/log.ts";
import type { Asker } from "../pulling/asker.ts";

export interface Guard {
  readonly settings: AccessSettings;
  readonly keys: readonly SecretKey[];
  readonly attempts: Attempts;
  readonly issuerKeys: IssuerKeys;
  readonly now: () => number;
  readonly log: Pick<Log, "warn">;
}

const KEY_BYTES = 32;

/** Without a secret its tokens count until it ends, which costs clients no more than another token. */
export function createGuard(
  settings: AccessSettings,
  secretKeys: readonly SecretKey[],
  { now, log }: Pick<Guard, "now" | "log">,
): Guard {
  const keys = secretKeys.length > 0 ? secretKeys : [{ id: "own", bytes: randomBytes(KEY_BYTES) }];
  return {
    ...{ settings, keys, now, log },
    attempts: createAttempts(),
    issuerKeys: createIssuerKeys(),
  };
}

export function identifyingFor(
  { settings, keys, attempts, issuerKeys, now, log }: Guard,
  url: URL,
  { client }: Asker,
): Identifying {
  return {
    ...{ settings, attempts, issuerKeys, now },
    tokenKeys: { keys, service: settings.url === null ? url.host : new URL(settings.url).host },
    fetch: (request) => fetch(request),
    network: client,
    async onWrong(network) {
      log.warn({ network }, "a wrong login");
      return true;
    },
  };
}
