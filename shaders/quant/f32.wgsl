// F32 weights, rows padded to eight.
@group(0) @binding(0) var<storage, read> weights: array<vec4f>;

fn loadQuants(octet: u32) -> mat2x4f {
  return mat2x4f(weights[octet * 2u], weights[octet * 2u + 1u]);
}

fn loadScale(scaleRow: u32, octet: u32) -> f32 {
  return 1.0;
}
