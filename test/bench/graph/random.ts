// Numbers that look random and are the same in every run: a simulation is only worth comparing with
// itself.

export interface Random {
  /** From 0 up to 1, without 1. */
  fraction(): number;
  /** From 0 up to `limit`, without it. */
  below(limit: number): number;
  /** Of mean 0 and variance 1. */
  normal(): number;
}

/** xorshift32 (Marsaglia 2003). `seed` is any integer but 0. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  const fraction = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return {
    fraction,
    below: (limit) => Math.floor(fraction() * limit),
    // Box and Muller's transform; 1 - x keeps the logarithm finite.
    normal: () => Math.sqrt(-2 * Math.log(1 - fraction())) * Math.cos(2 * Math.PI * fraction()),
  };
}

export function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[random.below(values.length)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
}
