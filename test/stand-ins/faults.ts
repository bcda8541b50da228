// What a server of the outside world may do instead of answering, and which requests it does it to.

export type Fault =
  /** Answers with this status. */
  | { readonly kind: "status"; readonly status: number }
  /** Sends the body no faster. */
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  /** Hangs up after so many bytes of the body. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** Sends the body with its second half garbled. */
  | { readonly kind: "corrupt" }
  /** Answers 404, as a cache does whose narinfo is there and whose NAR is gone. */
  | { readonly kind: "missing" }
  /** Signs a narinfo with a key that nobody trusts. */
  | { readonly kind: "bad-signature" }
  /** Takes the request and never answers. */
  | { readonly kind: "hang" }
  /** Takes no connection at all, whatever the path, until it is mended. */
  | { readonly kind: "refuse" };

export interface Faults {
  /** Sets a fault for what is asked from now on; the one set last comes first. */
  set(path: RegExp, fault: Fault, times?: number): void;
  /** The fault for a request, which is used up by that. */
  take(path: string): Fault | undefined;
  clear(): void;
}

export function createFaults(): Faults {
  let all: { readonly path: RegExp; readonly fault: Fault; left: number }[] = [];
  return {
    set(path, fault, times = Number.POSITIVE_INFINITY) {
      all.unshift({ path, fault, left: times });
    },
    take(path) {
      const found = all.find((each) => each.left > 0 && each.path.test(path));
      if (found !== undefined) found.left -= 1;
      return found?.fault;
    },
    clear() {
      all = [];
    },
  };
}

/** `slow 2000`, `cut 100`, `status 500`, `corrupt` …: as people write them; undefined for others. */
export function parseFault(text: string): Fault | undefined {
  const [kind = "", amount] = text.trim().split(/\s+/);
  const number = Number(amount);
  const counted = amount !== undefined && Number.isSafeInteger(number) && number >= 0;
  switch (kind) {
    case "status":
      return counted ? { kind, status: number } : undefined;
    case "slow":
      return counted && number > 0 ? { kind, bytesPerSecond: number } : undefined;
    case "cut":
      return counted ? { kind, afterBytes: number } : undefined;
    case "corrupt":
    case "missing":
    case "bad-signature":
    case "hang":
    case "refuse":
      return amount === undefined ? { kind } : undefined;
    default:
      return undefined;
  }
}
