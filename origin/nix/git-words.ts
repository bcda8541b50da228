// What git says where it fails, and ssh and a forge before it: the causes, without advice and progress.

const MAX_CHARACTERS = 300;
/** Before git's own word there may be a page, as ssh has it of a host whose key has changed. */
const MAX_LINES_BEFORE = 3;

const OWN_WORD = /^(?:fatal|error): /;
const IDLE =
  /^(?:warning|hint): |^Warning: Permanently added|^Cloning into|^From |^(?:remote: )?(?:Enumerating|Counting|Compressing|Receiving|Resolving|Total)\b|^remote: *$|^[\s@]*$/;
/** Whatever keeps it from reading is said before. */
const GENERAL = /^fatal: Could not read from remote repository/;

export function gitReason(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => !IDLE.test(line));
  const first = lines.findIndex((line) => OWN_WORD.test(line));
  const before = (first < 0 ? lines : lines.slice(0, first)).slice(-MAX_LINES_BEFORE);
  // Behind its own words git only gives advice.
  const own = first < 0 ? [] : lines.slice(first).filter((line) => OWN_WORD.test(line));
  const causes = [...before, ...own.filter((line) => !GENERAL.test(line))];
  return [...new Set(causes.length > 0 ? causes : own)]
    .map((line) => line.replace(OWN_WORD, "").trim())
    .join("; ")
    .slice(0, MAX_CHARACTERS);
}
