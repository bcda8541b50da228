// In which fields two JSON documents differ.

export interface FieldDifference {
  /** `config.Env[2]`. */
  readonly field: string;
  /** JSON; undefined where there is no such field. */
  readonly registry: string | undefined;
  readonly here: string | undefined;
}

/** In the order of the first document, and then of what only the second has. */
export function jsonDifferences(
  registry: unknown,
  here: unknown,
  field = "",
): readonly FieldDifference[] {
  if (isSet(registry) && isSet(here) && Array.isArray(registry) === Array.isArray(here)) {
    const names = new Set([...Object.keys(registry), ...Object.keys(here)]);
    return [...names].flatMap((name) =>
      jsonDifferences(registry[name], here[name], nameOf(field, name, Array.isArray(registry))),
    );
  }
  const [theirs, ours] = [JSON.stringify(registry), JSON.stringify(here)];
  return theirs === ours ? [] : [{ field, registry: theirs, here: ours }];
}

function isSet(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function nameOf(field: string, name: string, isList: boolean): string {
  if (isList) return `${field}[${name}]`;
  return field === "" ? name : `${field}.${name}`;
}
