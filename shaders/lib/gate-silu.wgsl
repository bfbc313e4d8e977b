// exp is kept finite: an infinity may not survive a driver's relaxed arithmetic.
fn gated(gate: f32, up: f32) -> f32 { return gate / (1f + exp(min(-gate, 80f))) * up; }
