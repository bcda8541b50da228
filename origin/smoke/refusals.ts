// Checks of what a deployment is to refuse, in the words of a registry: what there is not, what is no name,
// what only its origin may do, and who does not know the password.

import type { Deployment } from "./deployment.ts";
import { Fault, requireError, requireHeader, requireStatus } from "./fault.ts";

const NOWHERE = `sha256:${"0".repeat(64)}`;
/** No set has it, as long as nobody calls a package so. */
const NO_PACKAGE = "nixport-smoke-no-such-package";

export async function ping(deployment: Deployment): Promise<string> {
  for (const method of ["GET", "HEAD"] as const) {
    const answer = await deployment.ask({ method, path: "/v2/" });
    const what = `${method} /v2/`;
    requireStatus(what, answer, 200);
    requireHeader(what, answer, "Docker-Distribution-API-Version", /^registry\/2\.0$/);
    requireHeader(what, answer, "Cache-Control", /no-store/);
  }
  return "a registry of version 2";
}

/** With the right password, which `ping` has shown to be one, and with a wrong one. */
export async function logIn(deployment: Deployment, repository: string): Promise<string> {
  const { credentials } = deployment;
  const paths = ["/v2/", `/v2/${repository}/tags/list`];
  const anonymous = await Promise.all(paths.map((path) => deployment.as(null).ask({ path })));
  const asks = anonymous.some(({ status }) => status === 401);
  if (credentials === null) {
    if (asks) throw new Fault("it wants a login, and no name and password were given");
    return "none is wanted";
  }
  const wrong = deployment.as({ ...credentials, password: `${credentials.password}-wrong` });
  for (const path of paths) {
    requireStatus(`${path} as ${credentials.user}`, await deployment.ask({ path }), 200);
  }
  const refused = await wrong.ask({ path: "/v2/" });
  requireError("/v2/ with a wrong password", refused, 401, "UNAUTHORIZED");
  requireHeader("/v2/ with a wrong password", refused, "WWW-Authenticate", /^(?:Bearer|Basic) /);
  return `as ${credentials.user}${asks ? "" : ", which nothing here needs"}; no other password does`;
}

export async function askForNothing(deployment: Deployment, repository: string): Promise<string> {
  const blob = `/v2/${repository}/blobs/${NOWHERE}`;
  requireError(blob, await deployment.ask({ path: blob }), 404, "BLOB_UNKNOWN");
  const head = await deployment.ask({ method: "HEAD", path: blob });
  requireStatus(`HEAD ${blob}`, head, 404);
  const digest = `/v2/${repository}/manifests/${NOWHERE}`;
  requireError(digest, await deployment.ask({ path: digest }), 404, "MANIFEST_UNKNOWN");
  const path = `/v2/${NO_PACKAGE}/manifests/latest`;
  requireError(path, await deployment.askWhenMade({ path }), 404, "MANIFEST_UNKNOWN");
  return "a blob, a digest and a package are unknown";
}

export async function askNonsense(deployment: Deployment): Promise<string> {
  const path = "/v2/No_Name/manifests/latest";
  requireError(path, await deployment.ask({ path }), 400, "NAME_INVALID");
  return "no name is one";
}

/** Whoever may write what an edge stores, decides what its users run. */
export async function writeUnsigned(deployment: Deployment): Promise<string> {
  const paths = ["/ingest/records", "/ingest/pointers"];
  for (const path of paths) {
    const { status } = await deployment.ask({ method: "POST", path });
    if (status < 400 || status >= 500) throw new Fault(`POST ${path} by anybody is ${status}`);
  }
  const push = await deployment.ask({ method: "POST", path: "/v2/git/blobs/uploads/" });
  if (push.status < 400 || push.status >= 500) throw new Fault(`a push is ${push.status}`);
  return "only its origin may";
}
