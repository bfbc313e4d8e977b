// gpt-oss: both inputs clamped, a steeper sigmoid, and up shifted by one.
fn gated(gate: f32, up: f32) -> f32 {
  let bounded = min(gate, 7f);
  return bounded / (1f + exp(min(-1.702f * bounded, 80f))) * (clamp(up, -7f, 7f) + 1f);
}
