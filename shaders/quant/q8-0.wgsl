// Signed bytes, and F16 scales of 32 weights.
@group(0) @binding(0) var<storage, read> quants: array<vec2u>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;

fn loadQuants(octet: u32) -> mat2x4f {
  let words = quants[octet];
  return mat2x4f(vec4f(unpack4xI8(words.x)), vec4f(unpack4xI8(words.y)));
}

fn loadScale(scaleRow: u32, octet: u32) -> f32 {
  let pair = unpack2x16float(scales[scaleRow + octet / 8u]);
  return select(pair.x, pair.y, (octet & 4u) != 0u);
}
