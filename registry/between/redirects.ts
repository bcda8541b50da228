// Whether an edge goes by itself where the origin sends it for a blob, which it says with each request
// for one.

export const REDIRECTS_HEADER = "Nixport-Redirects";
export const FOLLOW = "follow";
export const NEVER = "never";
