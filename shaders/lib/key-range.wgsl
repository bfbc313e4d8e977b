// Which keys a query sees, and what becomes of its scores.

// The first key that a query sees of `numKeys`; WINDOW is the most it sees.
fn firstSeen(numKeys: u32) -> u32 { return numKeys - min(numKeys, WINDOW); }

fn cappedScore(score: f32) -> f32 {
  if (!HAS_SOFT_CAP) { return score; }
  // Kept where every driver's tanh is finite.
  return f32(SOFT_CAP) * tanh(clamp(score / f32(SOFT_CAP), -15f, 15f));
}
