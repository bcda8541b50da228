// `npm run kills`: a longer run of what the tests do with 200 kills.

import { parseArgs } from "node:util";
import { installTools } from "../tools.ts";
import { runKills } from "./run-kills.ts";

const HELP = `usage: npm run kills [-- OPTION ...]

Starts an origin and an edge on a state of their own, with a small mixed load, and kills origin, edge and Nix
at random moments. Then fsck must find nothing at either side, and all that was ever answered must be pulled
whole, by tag and by digest, with the same digest. Exit code 0: so it was. 1: it was not, and why is printed.

  --kills N   how many (1000); 22 in a hundred are the origin's, as many the edge's, the rest Nix's
  --seed N    decides who is killed after what time, and what is asked for; printed, else chosen
  --help      print this
`;
const MAX_SEED = 2 ** 31 - 1;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "1000" },
    seed: { type: "string", default: String(1 + Math.floor(Math.random() * (MAX_SEED - 1))) },
    help: { type: "boolean", short: "h", default: false },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const isMeant = [kills, seed].every((each) => Number.isInteger(each) && each > 0);
if (values.help || !isMeant || seed > MAX_SEED) {
  process.stdout.write(HELP);
  process.exit(values.help ? 0 : 2);
}
const say = (line: string) => process.stdout.write(`${line}\n`);
await installTools(say);
say(`${kills} kills, seed ${seed}`);
const { problems, ...report } = await runKills({ kills, seed, say });
say(JSON.stringify(report));
for (const problem of problems) say(problem);
say(problems.length === 0 ? "nothing is lost, and nothing is damaged" : "this should not be");
process.exit(problems.length === 0 ? 0 : 1);
