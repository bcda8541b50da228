// What one network may have kept here of what the edge composed. Nobody is refused anything by it: what
// is not kept is composed with every pull.

export interface KeepLimit {
  /** Whether one more image may be kept. */
  admits(): Promise<boolean>;
}

export interface KeepLimitOptions {
  readonly limiter: RateLimit | undefined;
  readonly network: string | undefined;
  readonly onFailure: (cause: unknown) => void;
}

export function createKeepLimit({ limiter, network, onFailure }: KeepLimitOptions): KeepLimit {
  return {
    async admits() {
      try {
        return (await limiter?.limit({ key: network ?? "unknown" }))?.success ?? true;
      } catch (cause) {
        onFailure(cause);
        return false;
      }
    },
  };
}
