// What a closure's C library finds of the locale C.UTF-8 and of time zones: only what is there may be
// promised to programs, for they warn of a locale that is missing.
//
// nixpkgs' glibc brings the locale beside itself, Debian's looks in /usr/lib/locale. musl takes UTF-8 for
// granted and looks for zones where everybody does, so it needs to be told nothing.

import type { LocaleFacts } from "../../registry/image/record.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import type { ByteString } from "./byte-string.ts";
import type { ClosureFiles } from "./closure-files.ts";

/** glibc's. */
const LIBRARY = "lib/libc.so.6";
const UTF8_LOCALES = ["C.utf8", "C.UTF-8"] as const;
const ZONES = ["share/zoneinfo", "usr/share/zoneinfo"] as const;
/** Where the ground has a link to the zones of the view. */
const ZONE_FOLDER = "/usr/share/zoneinfo";

/** `isShown`: whether the package has something at a place below the image's root. */
export function readLocale(
  files: ClosureFiles,
  closure: readonly StorePath[],
  isShown: (path: ByteString) => boolean,
): LocaleFacts {
  const found = closure.flatMap((path) => {
    const file = files.resolve(`${path}/${LIBRARY}`);
    return file === undefined || file.kind === "directory" ? [] : [file.path];
  });
  const libraries = [...new Set(found)];
  const hasOwn = (library: ByteString) => {
    const folder = `${library.slice(0, library.lastIndexOf("/"))}/locale`;
    const archive = files.resolve(`${folder}/locale-archive`);
    return (
      UTF8_LOCALES.some((name) => files.resolve(`${folder}/${name}`)?.kind === "directory") ||
      (archive?.kind === "file" && UTF8_LOCALES.some((name) => files.holds(archive.path, name)))
    );
  };
  return {
    hasUtf8:
      UTF8_LOCALES.some((name) => isShown(`usr/lib/locale/${name}`)) || libraries.some(hasOwn),
    hasZones: ZONES.some(isShown),
    looksElsewhereForZones: libraries.some((library) => !files.holds(library, ZONE_FOLDER)),
  };
}
