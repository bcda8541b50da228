// What a check of the stored values finds. The names of the fields and kinds are those of `--json`, and stay.

export type Finding = { readonly key: string } & (
  | {
      /** Its bytes are not those that were stored: of another digest, of another checksum, no such value. */
      readonly kind: "damaged";
    }
  | {
      readonly kind: "incomplete";
      /** What it names and what is not there, or in another size. A store path: any record of it. */
      readonly missing: readonly string[];
    }
);

export interface Counted {
  readonly values: number;
  readonly bytes: number;
}

export interface Checked {
  readonly collections: Readonly<Record<string, Counted>>;
  readonly findings: readonly Finding[];
  /** Nothing names them, which harms nobody: no image of a recipe, or not yet. */
  readonly orphans: Readonly<Record<string, number>>;
  /** In a collection, under a name that is no key of it: left alone. */
  readonly strangers: number;
  /** As earlier versions stored them: what changed in them cannot be told. */
  readonly withoutChecksum: number;
}

export interface Repair {
  readonly key: string;
  /** There again; or not, until somebody asks for what it was of. */
  readonly kind: "made-again" | "gone";
}

export interface Repaired {
  readonly repairs: readonly Repair[];
  /** What is still wrong. */
  readonly findings: readonly Finding[];
}

/** An edge that does not tell what it has, or do what it is told. */
export class NotTold extends Error {}

/** Called as often as one likes. */
export type OnChecked = (done: number, of: number, findings: number) => void;
