// F16 weights, rows padded to eight.
@group(0) @binding(0) var<storage, read> weights: array<vec4u>;

fn loadQuants(octet: u32) -> mat2x4f {
  let words = weights[octet];
  return mat2x4f(
    vec4f(unpack2x16float(words.x), unpack2x16float(words.y)),
    vec4f(unpack2x16float(words.z), unpack2x16float(words.w)),
  );
}

fn loadScale(scaleRow: u32, octet: u32) -> f32 {
  return 1.0;
}
