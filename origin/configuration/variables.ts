// Reads variables of the environment one by one, and collects what is wrong with any of them, so
// that all of it can be told at once. One of spaces alone counts as not set.

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

export interface Variables {
  text(name: string): string | undefined;
  /** A whole number; `fallback` where the variable is not set. */
  integer<Fallback>(name: string, fallback: Fallback, min: number, max: number): number | Fallback;
  /** Of one of several schemes, such as `https`; null where it is not set. */
  url(name: string, schemes: readonly string[]): string | null;
  /** Notes what is wrong, in words that begin with the variable's name. */
  problem(text: string): undefined;
  readonly problems: readonly string[];
}

export function openVariables(env: EnvironmentVariables): Variables {
  const problems: string[] = [];
  const text = (name: string) => env[name]?.trim() || undefined;
  const problem = (why: string) => {
    problems.push(why);
    return undefined;
  };
  return {
    text,
    problem,
    problems,
    integer(name, fallback, min, max) {
      const value = text(name);
      if (value === undefined) return fallback;
      if (/^\d{1,16}$/.test(value) && Number(value) >= min && Number(value) <= max) {
        return Number(value);
      }
      problem(
        `${name} is ${JSON.stringify(value)}: a whole number from ${min} to ${max} is needed`,
      );
      return fallback;
    },
    url(name, schemes) {
      const value = text(name);
      if (value === undefined) return null;
      const isAllowed = schemes.some((scheme) => value.startsWith(`${scheme}://`));
      const parsed = URL.parse(value);
      // fetch takes no URL with them, and would say so of every request, password and all.
      if (parsed?.username || parsed?.password) {
        problem(`${name} holds a user or password`);
        return null;
      }
      if (isAllowed && parsed !== null) return value;
      const needed = `${schemes.slice(0, -1).join(", ")} or ${schemes.at(-1)}`;
      problem(`${name} is ${JSON.stringify(value)}: a URL of ${needed} is needed`);
      return null;
    },
  };
}
