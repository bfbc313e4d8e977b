// Nibbles, eight neighbours a word (weights 0 to 3 in the low nibbles), and F16 scales of 32 weights.
@group(0) @binding(0) var<storage, read> quants: array<u32>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;

fn loadQuants(octet: u32) -> mat2x4f {
  let word = quants[octet];
  return mat2x4f(
    vec4f(unpack4xU8(word & 0x0f0f0f0fu)) - 8.0,
    vec4f(unpack4xU8((word >> 4u) & 0x0f0f0f0fu)) - 8.0,
  );
}

fn loadScale(scaleRow: u32, octet: u32) -> f32 {
  let pair = unpack2x16float(scales[scaleRow + octet / 8u]);
  return select(pair.x, pair.y, (octet & 4u) != 0u);
}
