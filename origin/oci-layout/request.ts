// What nix/image.nix asks of its builder: the JSON that Nix writes for a derivation with structured
// attributes, field by field.

import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { packageNameSchema, tagSchema } from "../../registry/between/backfill.ts";
import { MAX_LAYERS } from "../../registry/image/compose.ts";
import { VARIANTS, type Variant } from "../../registry/image/variant.ts";
import { RECIPE_WORDS } from "../../registry/naming/front-words.ts";
import { ARCHITECTURES, type PackageName, type Recipe } from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { ValidClosure } from "../layers/closure.ts";
import { MAX_OWNER_ID } from "../layers/tar-header.ts";
import { parseClosure } from "../nix/closure.ts";
import { type LookupAnswer, parseGivenImage, parseLookupAnswers } from "../nix/lookup-json.ts";
import type { ExtraCommands } from "./extra-layer.ts";

export interface BuildRequest {
  /** An image name, which the recipe was made of in Nix; or any name, of a list of packages. */
  readonly name: string;
  readonly isNamed: boolean;
  readonly tag: Tag;
  readonly variant: Variant;
  /** Neither sorted nor without repetition. */
  readonly recipe: Recipe;
  /** Every name of the recipe and of what its words need, in whatever order. */
  readonly names: readonly PackageName[];
  /** One for each name, in order. */
  readonly lookups: readonly LookupAnswer[];
  /** What is asked for besides the recipe. */
  readonly image: LookupAnswer;
  readonly maxLayers: number | null;
  readonly extra: ExtraCommands | null;
  readonly popularity: { readonly file: string; readonly counts: "references" | "closures" } | null;
  readonly closure: ValidClosure;
  readonly outputPath: string;
}

const ownerId = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MAX_OWNER_ID));

const requestSchema = v.object({
  outputs: v.object({ out: v.string() }),
  closure: v.unknown(),
  request: v.object({
    name: v.string(),
    isNamed: v.boolean(),
    tag: tagSchema,
    variant: v.picklist(VARIANTS),
    recipe: v.object({
      architecture: v.picklist(ARCHITECTURES),
      words: v.array(v.picklist(RECIPE_WORDS)),
      packages: v.array(packageNameSchema),
    }),
    names: v.array(packageNameSchema),
    answers: v.unknown(),
    maxLayers: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_LAYERS))),
    extra: v.nullable(
      v.object({
        commands: v.string(),
        shell: v.string(),
        path: v.array(v.string()),
        owner: v.object({ uid: ownerId, gid: ownerId }),
      }),
    ),
    popularity: v.nullable(
      v.object({ file: v.string(), counts: v.picklist(["references", "closures"]) }),
    ),
  }),
});

export type ReadRequest =
  | { readonly kind: "request"; readonly request: BuildRequest }
  | { readonly kind: "invalid"; readonly reason: string };

/** Invalid is what a person gave nix/image.nix; what Nix itself writes otherwise is thrown. */
export async function readBuildRequest(path: string): Promise<ReadRequest> {
  const json: unknown = JSON.parse(await readFile(path, "utf8"));
  const parsed = v.safeParse(requestSchema, json);
  if (!parsed.success) {
    const reasons = parsed.issues.map(
      (issue) => `${v.getDotPath(issue)?.replace(/^request\./, "")}: ${issue.message}`,
    );
    return { kind: "invalid", reason: reasons.join("; ") };
  }
  const { outputs, closure, request } = parsed.output;
  const { answers, ...rest } = request;
  return {
    kind: "request",
    request: {
      ...rest,
      lookups: parseLookupAnswers(answers, request.names),
      image: parseGivenImage(answers),
      closure: parseClosure(closure),
      outputPath: outputs.out,
    },
  };
}
