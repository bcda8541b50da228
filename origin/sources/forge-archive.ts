// Where a forge offers one revision of a repository as an archive. Pure.
//
// Such an archive is what `git archive` makes of the commit: without what `.gitattributes` marks
// `export-ignore`, as Nix's own `fetchGit` leaves it out, without submodules and with pointers in
// place of large files. It differs from what Nix since 2.20 makes of the same commit in files marked
// `export-subst` alone, whose placeholders it fills in, as Nix did before. Such a placeholder holds
// the commit, which is part of the pin anyhow; and the archive is one for every version of Nix.

/** Undefined where the forge is not known to have one, or needs credentials that Nix has not. */
export function forgeArchive(url: string, commit: string): string | undefined {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.protocol !== "https:" || parsed.port !== "") return undefined;
  if (parsed.username || parsed.password || parsed.search || parsed.hash) return undefined;
  const repository = `https://${parsed.hostname}${parsed.pathname.replace(/(?:\.git)?\/*$/, "")}`;
  const depth = parsed.pathname.split("/").filter((part) => part !== "").length;
  switch (parsed.hostname) {
    case "github.com":
    case "git.sr.ht":
      return depth === 2 ? `${repository}/archive/${commit}.tar.gz` : undefined;
    case "gitlab.com":
      return depth >= 2 ? `${repository}/-/archive/${commit}/archive.tar.gz` : undefined;
    default:
      return undefined;
  }
}
