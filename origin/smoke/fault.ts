// What a deployment does that it should not, in words, and the claims that are made of its answers.

import { parseJson } from "../../registry/http/json.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

/** The check has found something. */
export class Fault extends Error {}

type Told = Pick<Answer, "status" | "headers">;

export function requireStatus(what: string, { status }: Told, expected: number): void {
  if (status !== expected) throw new Fault(`${what} is ${status}, not ${expected}`);
}

export function requireHeader(what: string, { headers }: Told, name: string, like: RegExp): void {
  const value = headers.get(name);
  if (value === null) throw new Fault(`${what} has no ${name}`);
  if (!like.test(value)) throw new Fault(`${what} has ${name}: ${value}`);
}

export function requireNone(what: string, { headers }: Told, name: string): void {
  const value = headers.get(name);
  if (value !== null) throw new Fault(`${what} has ${name}: ${value}`);
}

/** A registry's error (distribution specification), which no cache may keep. */
export function requireError(what: string, answer: Answer, status: number, code: string): void {
  requireStatus(what, answer, status);
  requireHeader(what, answer, "Content-Type", /^application\/json/);
  requireHeader(what, answer, "Cache-Control", /no-store/);
  const said = codeOf(answer);
  if (said !== code)
    throw new Fault(`${what} says ${said ?? "no error of a registry"}, not ${code}`);
}

/** Of the one error that a body has. */
export function codeOf({ bytes }: Answer): string | undefined {
  const body = parseJson(bytes) as { errors?: { code?: unknown }[] } | null | undefined;
  const code = Array.isArray(body?.errors) ? body.errors[0]?.code : undefined;
  return typeof code === "string" ? code : undefined;
}
