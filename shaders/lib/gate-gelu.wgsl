// The tanh form of GELU; kept where every driver's tanh is finite.
fn gated(gate: f32, up: f32) -> f32 {
  let inner = 0.7978845608028654f * (gate + 0.044715f * gate * gate * gate);
  return 0.5f * gate * (1f + tanh(clamp(inner, -15f, 15f))) * up;
}
