// Small JSON answers below /v2/ that are no errors: the ping, lists. GET and HEAD alike.

/** Never cached: they say what is so now. */
export function jsonResponse(
  value: unknown,
  method: string,
  mediaType = "application/json",
): Response {
  const body = new TextEncoder().encode(JSON.stringify(value));
  return new Response(method === "HEAD" ? null : body, {
    headers: {
      "Content-Type": mediaType,
      "Content-Length": String(body.length),
      "Cache-Control": "no-store",
      "Docker-Distribution-API-Version": "registry/2.0",
    },
  });
}

/** Docker-era clients look for the version header before anything else. */
export function pingResponse(method: string): Response {
  return jsonResponse({}, method);
}
