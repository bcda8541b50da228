// What a request says of waiting (RFC 7240): the edge writes it, the origin reads it.

export interface Preference {
  /** Wanted whether its client waits for it or not. */
  readonly isAsynchronous: boolean;
  /** Within which time it is to be answered; undefined where nothing is said. */
  readonly waitSeconds: number | undefined;
}

export function preferenceOf(headers: Headers): Preference {
  const said = headers.get("Prefer") ?? "";
  const wait = /(?:^|,)\s*wait\s*=\s*(\d{1,6})\s*(?:$|[,;])/i.exec(said)?.[1];
  return {
    isAsynchronous: /(?:^|,)\s*respond-async\s*(?:$|[,;])/i.test(said),
    waitSeconds: wait === undefined ? undefined : Number(wait),
  };
}

export const RESPOND_ASYNC = { Prefer: "respond-async" } as const;

export function answeredWithin(seconds: number): Readonly<Record<"Prefer", string>> {
  return { Prefer: `wait=${seconds}` };
}
