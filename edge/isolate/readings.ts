// What texts of requests were read as lately. Pulls say the same few over and over, and reading a path or
// the name of a client costs more than an answer from memory. Plain data, bounded.

export interface Readings<Value> {
  /** `read` has no other input than the text. What it throws is not remembered. */
  of(text: string, read: () => Value): Value;
}

const MAX_TEXTS = 2000;
/** A name of a hundred packages is longer, and not what is asked for over and over. */
const MAX_TEXT_LENGTH = 1000;

export function createReadings<Value extends object | string>(): Readings<Value> {
  const known = new Map<string, Value>();
  return {
    of(text, read) {
      const found = known.get(text);
      if (found !== undefined) return found;
      const value = read();
      if (text.length > MAX_TEXT_LENGTH) return value;
      // Forgetting all of them costs one more reading each: cheaper than keeping an order.
      if (known.size >= MAX_TEXTS) known.clear();
      known.set(text, value);
      return value;
    },
  };
}
