// Debian's version order (deb-version(7)) and the form of a version in a store name.

// Negative, zero or positive, as for Array.sort.
export function compareVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  return (
    left.epoch - right.epoch ||
    comparePart(left.upstream, right.upstream) ||
    comparePart(left.revision, right.revision)
  );
}

// The epoch orders versions and says nothing about the program; store names refuse `:` and `~`.
export function storeVersion(version: string): string {
  const { upstream, revision } = split(version);
  return storeName(revision === "" ? upstream : `${upstream}-${revision}`);
}

export function storeName(text: string): string {
  return text.replace(/[^A-Za-z0-9+._?=-]/g, "-");
}

function split(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const epoch = colon === -1 ? 0 : Number(version.slice(0, colon));
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  if (dash === -1) return { epoch, upstream: rest, revision: "" };
  return { epoch, upstream: rest.slice(0, dash), revision: rest.slice(dash + 1) };
}

// Compares runs of other characters and runs of digits in turn, as dpkg does.
function comparePart(a: string, b: string): number {
  const [left, right] = [runs(a), runs(b)];
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const [x, y] = [left[at] ?? "", right[at] ?? ""];
    const order = at % 2 === 0 ? compareText(x, y) : Number(x) - Number(y);
    if (order !== 0) return order;
  }
  return 0;
}

function runs(text: string): readonly string[] {
  return text.split(/(\d+)/);
}

// `~` sorts before the end of the text, the end before letters, letters before everything else.
function compareText(a: string, b: string): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const order = weight(a[at]) - weight(b[at]);
    if (order !== 0) return order;
  }
  return 0;
}

function weight(character: string | undefined): number {
  if (character === "~") return -1;
  if (character === undefined) return 0;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}
