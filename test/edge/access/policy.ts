// The policy of these tests: who there is, and what each may pull of a stock of git, htop and tree.

import { hashPassword, makeSecret } from "../../../registry/access/password.ts";
import { AUDIENCE, JOB_CLAIMS } from "../../registry/access/issuer.ts";

export const PASSWORD = "correct horse";
const robot = await makeSecret();

export function basic(name: string, password = PASSWORD): Readonly<Record<string, string>> {
  return { Authorization: `Basic ${btoa(`${name}:${password}`)}` };
}

export const ROBOT = basic("robot", robot.secret);
export const EXPIRED_ROBOT = basic("old", robot.secret);

export async function policyOf(issuerUrl: string, more: object = {}): Promise<string> {
  const password = await hashPassword(PASSWORD, 1000);
  return JSON.stringify({
    users: { all: { password }, some: { password, groups: ["some"] }, none: { password } },
    robots: {
      robot: { secret: robot.hash, expires: "2100-01-01", groups: ["some"] },
      old: { secret: robot.hash, expires: "2020-01-01", groups: ["some"] },
    },
    issuers: [
      {
        issuer: issuerUrl,
        audience: AUDIENCE,
        jobs: { "acme-main": { claims: JOB_CLAIMS, groups: ["some"] } },
      },
    ],
    rules: [
      { who: "all", allow: { names: "*" } },
      { who: "@some", allow: { packages: ["git", "htop"] }, deny: { packages: "htop" } },
      { who: "anonymous", allow: { packages: "tree" } },
    ],
    ...more,
  });
}
