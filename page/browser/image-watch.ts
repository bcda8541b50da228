// What is known of the image that is being put together: asked for when it has not changed for a moment, and
// remembered, so that going back and forth asks nothing again.

import { pagePath } from "../../registry/http/page-route.ts";
import type { ImageView } from "../html/recipe-view.ts";
import { type Chosen, readName, repositoryOf } from "../recipe/chosen.ts";
import { type ImageState, type Layer, readImageState, sharingOf } from "../recipe/image-state.ts";

export interface ImageWatch {
  /** What somebody has already is a list of names, with blanks between them. */
  look(chosen: Chosen, present: string): void;
}

const WAIT_MS = 300;
const MAX_PRESENT = 20;
const MAX_REMEMBERED = 200;

export function watchImage(onView: (view: ImageView) => void): ImageWatch {
  const known = new Map<string, Promise<ImageState | null>>();
  let looking = new AbortController();

  const stateOf = (chosen: Chosen): Promise<ImageState | null> => {
    const address = pagePath.imageData(repositoryOf(chosen), chosen.tag);
    const asked = known.get(address) ?? askState(address);
    if (known.size >= MAX_REMEMBERED) known.clear();
    known.set(address, asked);
    // What is not known now may be soon.
    void asked.then((state) => state?.kind === "known" || known.delete(address));
    return asked;
  };
  const layersOf = async (names: readonly string[]): Promise<readonly Layer[]> => {
    const states = await Promise.all(
      names.map(async (name) => {
        const read = readName(name);
        return read.kind === "chosen" ? stateOf(read.chosen) : null;
      }),
    );
    return states.flatMap((state) => (state?.kind === "known" ? state.layers : []));
  };

  return {
    look(chosen, present) {
      looking.abort();
      looking = new AbortController();
      const { signal } = looking;
      const names = present.split(/[\s,]+/).filter((name) => name !== "");
      const view = async () => {
        onView({ chosen, state: undefined, sharing: null });
        const [state, layers] = await Promise.all([
          stateOf(chosen),
          layersOf(names.slice(0, MAX_PRESENT)),
        ]);
        if (signal.aborted) return;
        const isShared = names.length > 0 && state?.kind === "known";
        onView({ chosen, state, sharing: isShared ? sharingOf(state.layers, layers) : null });
      };
      const timer = setTimeout(() => void view(), WAIT_MS);
      signal.addEventListener("abort", () => clearTimeout(timer));
    },
  };
}

/** Null where nobody can tell. */
async function askState(address: string): Promise<ImageState | null> {
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    return readImageState(await response.json()) ?? null;
  } catch {
    return null;
  }
}
