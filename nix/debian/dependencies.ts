// Reads Debian's dependency fields: `a (>= 1) | b [amd64], c:any`.

// One entry for each comma-separated dependency: its alternatives' bare names, in order. Version
// constraints are left out, since one consistent archive satisfies its own.
export function parseDependencies(text: string): readonly (readonly string[])[] {
  return text
    .split(",")
    .map((dependency) =>
      dependency
        .split("|")
        .map(bareName)
        .filter((name) => name !== ""),
    )
    .filter((alternatives) => alternatives.length > 0);
}

function bareName(text: string): string {
  return text.replace(/\([^)]*\)|\[[^\]]*\]|<[^>]*>|:[a-z0-9-]+/g, "").trim();
}
