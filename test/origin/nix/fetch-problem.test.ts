// What Nix and git write when they cannot fetch, as 2.8 and 2.26 wrote it.

import { describe, expect, test } from "vitest";
import { fetchProblem } from "../../../origin/nix/fetch-problem.ts";

const URL = "https://h.example/set/archive/1.tar.gz";
const FROM = "https://h.example/set at 1";
const NEWER = `error:
       … while calling the 'fetchTarball' builtin
         at «string»:1:1:
            1| builtins.fetchTarball "${URL}"
             | ^

       … while fetching the input '${URL}'

       error: `;

describe("fetchProblem", () => {
  const rows: readonly (readonly [
    title: string,
    stderr: string,
    kind: "absent" | "unreachable",
    message: string,
  ])[] = [
    [
      "a server's error of 2.8, without the page it sent",
      `error: unable to download '${URL}': HTTP error 500 ('Internal Server Error')\n       response body:\n       <p>no</p>`,
      "unreachable",
      `unable to download '${URL}': HTTP error 500 ('Internal Server Error')`,
    ],
    [
      "what is not found in 2.8",
      `error: unable to download '${URL}': HTTP error 404 ('Not Found')\n       response body:\n       no`,
      "absent",
      `unable to download '${URL}': HTTP error 404 ('Not Found')`,
    ],
    [
      "what is not found in 2.26",
      `${NEWER}Failed to open archive (Source threw exception: error: unable to download '${URL}': HTTP error 404\n\n              response body:\n\n              no)`,
      "absent",
      `unable to download '${URL}': HTTP error 404`,
    ],
    [
      "what is forbidden, which is for the operator to mend",
      `error: unable to download '${URL}': HTTP error 403 ('Forbidden')`,
      "unreachable",
      `unable to download '${URL}': HTTP error 403 ('Forbidden')`,
    ],
    [
      "a name that does not resolve",
      `${NEWER}Failed to open archive (Source threw exception: error: unable to download '${URL}': Could not resolve hostname (6) Could not resolve host: h.example)`,
      "unreachable",
      `unable to download '${URL}': Could not resolve hostname (6) Could not resolve host: h.example`,
    ],
    [
      "a connection that broke in 2.8",
      `error: unable to download '${URL}': HTTP error 200 ('OK') (curl error: Transferred a partial file)`,
      "unreachable",
      `unable to download '${URL}': HTTP error 200 ('OK') (curl error: Transferred a partial file)`,
    ],
    [
      "a connection that broke in 2.26",
      `${NEWER}cannot read file 'set/blob' from tarball`,
      "unreachable",
      `${FROM}: cannot read file 'set/blob' from tarball`,
    ],
    [
      "no archive",
      "error: failed to open archive: Unrecognized archive format",
      "unreachable",
      `${FROM}: failed to open archive: Unrecognized archive format`,
    ],
    [
      "what git said before Nix",
      "fatal: unable to access 'https://h.example/': Failed to connect\nerror: program 'git' failed with exit code 128",
      "unreachable",
      `${FROM}: unable to access 'https://h.example/': Failed to connect`,
    ],
    [
      "what ssh said before git and Nix",
      `Host key verification failed.\nfatal: Could not read from remote repository.\n\nPlease make sure\n${NEWER}program 'git' failed with exit code 128`,
      "unreachable",
      `${FROM}: Host key verification failed.`,
    ],
    [
      "a repository of somebody else's in 2.26",
      `error:\n       … while fetching the input 'git+file:///srv/r'\n\n       error: opening Git repository "/srv/r": repository path '/srv/r' is not owned by current user`,
      "unreachable",
      `${FROM}: opening Git repository "/srv/r": repository path '/srv/r' is not owned by current user`,
    ],
    [
      "a commit that Nix does not find in a repository",
      "error: Cannot find Git revision '1' in ref 'master' of repository 'https://h.example/set'!",
      "absent",
      `${FROM}: Cannot find Git revision '1' in ref 'master' of repository 'https://h.example/set'!`,
    ],
  ];
  test.for(rows)("reads %s", ([, stderr, kind, message]) =>
    expect(fetchProblem(stderr, FROM)).toStrictEqual({ kind, message }),
  );
});
