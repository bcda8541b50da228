// How old what was noted is, where the clock may be set meanwhile: what lies ahead of it was noted before it was
// set back, and nobody can say when. So it counts as old: else it would hold for as long as the clock was off.

export function isYounger(notedAtMs: number, nowMs: number, thanMs: number): boolean {
  const ageMs = nowMs - notedAtMs;
  return ageMs >= 0 && ageMs < thanMs;
}
