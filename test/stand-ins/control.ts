// What a person tells a world while it runs, a line at a time, and what it says to that.

import { parseFault } from "./faults.ts";
import type { WebServer } from "./web-server.ts";
import type { World } from "./world.ts";

export const CONTROL_HELP = `  forge|cache|channels PATTERN FAULT [xTIMES]
                  requests whose path matches go wrong from now on; the path of a narinfo or a NAR
                  has the package's name behind it, as in /nar/….nar.zst htop-3.4.1
      FAULT       status N | slow BYTES-PER-SECOND | cut BYTES | corrupt | missing | bad-signature |
                  hang | refuse (takes no connection, whatever the pattern)
  mend            all faults are over
  move BRANCH     the branch gets a new revision, in which hello, htop and jq are newer
  requests        what was asked since this was asked last
`;

/** Ends in a newline. */
export type Obey = (line: string) => Promise<string>;

export function obeyIn(world: World): Obey {
  const servers: Readonly<Record<string, WebServer>> = {
    forge: world.forge,
    cache: world.cache,
    channels: world.channels,
  };
  const seen = new Map<string, number>();
  return async (line) => {
    const [word = "", ...rest] = line.trim().split(/\s+/);
    const server = servers[word];
    if (server !== undefined) return setFault(server, rest) ?? CONTROL_HELP;
    switch (word) {
      case "mend":
        for (const each of Object.values(servers)) each.mend();
        return "mended\n";
      case "move": {
        const [branch = ""] = rest;
        return `${branch} is now ${await world.forge.move(branch)}\n`;
      }
      case "requests":
        return Object.entries(servers)
          .flatMap(([name, { requests }]) => {
            const news = requests.slice(seen.get(name) ?? 0);
            seen.set(name, requests.length);
            return news.map((request) => `${name} ${request}\n`);
          })
          .join("");
      default:
        return CONTROL_HELP;
    }
  };
}

/** Undefined where the words mean nothing. */
function setFault(server: WebServer, words: readonly string[]): string | undefined {
  const times = /^x(\d+)$/.exec(words.at(-1) ?? "")?.[1];
  const [pattern, ...fault] = times === undefined ? words : words.slice(0, -1);
  const parsed = parseFault(fault.join(" "));
  if (pattern === undefined || parsed === undefined) return undefined;
  server.fault(new RegExp(pattern), parsed, times === undefined ? undefined : Number(times));
  return `${pattern}: ${fault.join(" ")}\n`;
}
