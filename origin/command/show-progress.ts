// What commands that show images under way share: a stage as a line, and who they log in as.

import type { StageTold } from "../../registry/http/progress.ts";
import type { EnvironmentVariables } from "../configuration/variables.ts";
import type { Credentials } from "../smoke/login.ts";
import type { BoardLine } from "./board.ts";

export function boardLine({ stage, said, counts, bytes, running }: StageTold): BoardLine {
  const counted = [bytes, counts].find((each) => each !== null && each.expected > 0);
  const part = counted ? { done: counted.done, of: counted.expected } : null;
  return { step: [stage, ...running].join(" "), said, part };
}

export function credentialsOf(env: EnvironmentVariables): Credentials | null {
  const { NIXPORT_USER: user, NIXPORT_PASSWORD: password } = env;
  return user && password ? { user, password } : null;
}
