// What an image's config tells a runtime, in OCI's own words (image-spec, config.md): what whoever
// defines an image may say, and how that is laid over what every image has.

import * as v from "valibot";

export interface ImageConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, never>>>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, Readonly<Record<string, never>>>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
}

/**
 * Linux gives a program no more than 128 KiB in one argument or variable; a config is read by all.
 */
const MAX_TEXT_LENGTH = 32 * 1024;
const MAX_ITEMS = 256;
/** Of all of it as JSON: it travels in lookups, of which an edge reads many for one image. */
const MAX_CONFIG_LENGTH = 64 * 1024;

const text = v.pipe(v.string(), v.maxLength(MAX_TEXT_LENGTH), v.excludes("\0"));
const texts = v.pipe(v.array(text), v.maxLength(MAX_ITEMS));
const nothing = v.strictObject({});

const configFields = v.strictObject({
  User: v.exactOptional(text),
  ExposedPorts: v.exactOptional(
    v.pipe(
      v.record(
        v.pipe(
          v.string(),
          v.regex(/^\d{1,5}(?:\/(?:tcp|udp|sctp))?$/, "not a port such as 80/tcp"),
        ),
        nothing,
      ),
      v.maxEntries(MAX_ITEMS),
    ),
  ),
  Env: v.exactOptional(
    v.pipe(v.array(v.pipe(text, v.regex(/^[^=]+=/, "not NAME=value"))), v.maxLength(MAX_ITEMS)),
  ),
  Entrypoint: v.exactOptional(texts),
  Cmd: v.exactOptional(texts),
  Volumes: v.exactOptional(
    v.pipe(v.record(v.pipe(text, v.startsWith("/")), nothing), v.maxEntries(MAX_ITEMS)),
  ),
  WorkingDir: v.exactOptional(v.pipe(text, v.startsWith("/"))),
  Labels: v.exactOptional(v.pipe(v.record(text, text), v.maxEntries(MAX_ITEMS))),
  StopSignal: v.exactOptional(v.pipe(v.string(), v.regex(/^(?:SIG[A-Z0-9+-]{2,10}|\d{1,2})$/))),
});
const configSchema = v.pipe(
  // An object's schema takes a list for an object without fields.
  v.unknown(),
  v.check((value) => !Array.isArray(value), "is a list, not a set"),
  configFields,
  v.check(
    (config) => JSON.stringify(config).length <= MAX_CONFIG_LENGTH,
    `is larger than ${MAX_CONFIG_LENGTH} characters`,
  ),
);
export const imageConfigSchema: v.GenericSchema<unknown, ImageConfig> = configSchema;

export type ConfigResult =
  | { readonly kind: "config"; readonly config: ImageConfig }
  /** Names the fields that are wrong, each with why. */
  | { readonly kind: "invalid"; readonly reason: string };

export function parseImageConfig(json: unknown): ConfigResult {
  const parsed = v.safeParse(configSchema, json);
  if (parsed.success) return { kind: "config", config: parsed.output };
  const reasons = parsed.issues.map((issue) => {
    const place = v.getDotPath(issue);
    return place === null ? issue.message : `${place}: ${issue.message}`;
  });
  return { kind: "invalid", reason: reasons.join("; ") };
}

/**
 * `own` wins, field by field; variables and labels are told apart by their names. An entry point of
 * one's own takes no default command: what would it do with a shell for an argument?
 */
export function layConfigOver(base: ImageConfig, own: ImageConfig): ImageConfig {
  const { Cmd: _, ...withoutCmd } = base;
  const dropsCmd = own.Entrypoint !== undefined && own.Cmd === undefined;
  return {
    ...(dropsCmd ? withoutCmd : base),
    ...own,
    ...(own.Env !== undefined && { Env: mergeEnvironment(base.Env ?? [], own.Env) }),
    ...(own.Labels !== undefined && { Labels: { ...base.Labels, ...own.Labels } }),
  };
}

function mergeEnvironment(base: readonly string[], own: readonly string[]): readonly string[] {
  const nameOf = (variable: string) => variable.slice(0, variable.indexOf("="));
  const byName = new Map([...base, ...own].map((variable) => [nameOf(variable), variable]));
  return [...byName.values()];
}
