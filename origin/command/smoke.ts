// `npm run smoke -- URL`: whether a deployment does what clients expect, seen from outside.

import { parseArgs } from "node:util";
import { parseTag } from "../../registry/naming/reference.ts";
import { createDeployment } from "../smoke/deployment.ts";
import { formatChecked, summary } from "../smoke/page.ts";
import { type ImageName, smoke } from "../smoke/smoke.ts";
import { endWith, UsageError } from "./process.ts";

const HELP = `usage: npm run smoke -- [OPTION ...] URL

Checks a deployment, such as https://registry.example.org, as a client sees it: the ping, a login, a pull by tag and by
digest, heads, blobs and ranges, each compared with its digest; what is unknown; and that nobody but its
origin may write there. It writes nothing, and pulls one image whole. Exit code 0: all is well; 1: a check failed.

  --image NAME[:TAG]   what is pulled (git:latest)
  --cold NAME[:TAG]    pulled as well, before that: one that nobody has pulled there, so that it is made
  --wait SECONDS       for how long an image that is being made is waited for (600)
  --json               the same for programs

With NIXPORT_SMOKE_USER and NIXPORT_SMOKE_PASSWORD in the environment it logs in.
`;

await endWith(async () => {
  const { values, positionals } = parseArgs({
    options: {
      help: { type: "boolean", short: "h" },
      image: { type: "string", default: "git" },
      cold: { type: "string" },
      wait: { type: "string", default: "600" },
      json: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const [text, ...more] = positionals;
  if (text === undefined || more.length > 0) throw new UsageError("one URL, please (--help)");
  if (!/^\d{1,6}$/.test(values.wait)) throw new UsageError("--wait is a number of seconds");
  const url = rootOf(text);
  const { NIXPORT_SMOKE_USER: user, NIXPORT_SMOKE_PASSWORD: password } = process.env;
  const deployment = createDeployment({
    url,
    credentials: user && password ? { user, password } : null,
    waitMs: 1000 * Number(values.wait),
  });
  const all = await smoke({
    deployment,
    image: imageName(values.image),
    cold: values.cold === undefined ? null : imageName(values.cold),
    onChecked: (checked) => {
      if (!values.json) process.stdout.write(formatChecked(checked));
    },
  });
  process.stdout.write(values.json ? `${JSON.stringify({ url, checks: all })}\n` : summary(all));
  if (all.some(({ outcome }) => outcome === "failed")) process.exit(1);
});

function rootOf(text: string): string {
  const url = URL.parse(text);
  const isRoot = url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`;
  if (!isRoot) throw new UsageError(`${text} is not like https://registry.example.org`);
  return url.origin;
}

function imageName(text: string): ImageName {
  const [, repository = "", tag = "latest"] = /^([^:@]+)(?::(.+))?$/.exec(text) ?? [];
  if (repository === "" || parseTag(tag) === undefined) {
    throw new UsageError(`${text} is not like shell/git:latest`);
  }
  return { repository, tag };
}
