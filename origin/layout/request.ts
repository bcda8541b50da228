// What nix/image.nix asks of its builder: the JSON that Nix writes for a derivation with structured
// attributes, field by field.

import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { packageNameSchema, tagSchema } from "../../registry/backfill.ts";
import { type FoundPackage, foundPackageSchema } from "../../registry/lookup.ts";
import { ARCHITECTURES, type PackageName, type Recipe } from "../../registry/recipe.ts";
import type { Tag } from "../../registry/reference.ts";
import { VARIANTS, type Variant } from "../../registry/variant.ts";
import type { ClosureGraph } from "../layers/closure.ts";
import { parseClosure } from "../nix/closure.ts";

export interface WantedPackage {
  readonly name: PackageName;
  readonly found: FoundPackage;
}

export interface BuildRequest {
  /** An image name, which the recipe was made of in Nix; or any name, of a list of packages. */
  readonly name: string;
  readonly isNamed: boolean;
  readonly tag: Tag;
  readonly variant: Variant;
  readonly recipe: Recipe;
  /** One for each package of the recipe, in any order. */
  readonly ingredients: readonly WantedPackage[];
  /** What else the image holds. */
  readonly contents: readonly WantedPackage[];
  readonly popularity: { readonly file: string; readonly counts: "references" | "closures" } | null;
  readonly closure: ClosureGraph;
  readonly outputPath: string;
}

const wantedPackages = v.array(v.object({ name: packageNameSchema, found: foundPackageSchema }));

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
      packages: v.array(packageNameSchema),
    }),
    ingredients: wantedPackages,
    contents: wantedPackages,
    popularity: v.nullable(
      v.object({ file: v.string(), counts: v.picklist(["references", "closures"]) }),
    ),
  }),
});

/** Throws where Nix or nix/image.nix gives something else. */
export async function readBuildRequest(path: string): Promise<BuildRequest> {
  const json: unknown = JSON.parse(await readFile(path, "utf8"));
  const { outputs, closure, request } = v.parse(requestSchema, json);
  return { ...request, closure: parseClosure(closure), outputPath: outputs.out };
}
