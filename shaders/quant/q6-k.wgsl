// Six-bit weights in blocks of 256: nibbles, bit pairs, signed scales of 16 weights, and an F16 in the low half of a word.
@group(0) @binding(0) var<storage, read> lowBits: array<u32>;
@group(0) @binding(1) var<storage, read> highBits: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> blockScales: array<u32>;

// A block is two halves of 128 weights; a half four quarters of 32, two to a byte of nibbles, four to a byte of pairs.
fn loadQuants(octet: u32) -> mat2x4f {
  let block = octet / 32u;
  let half = (octet / 16u) & 1u;
  let quarter = (octet / 4u) & 3u;
  let word = (octet & 3u) * 2u;
  let lowAt = block * 32u + half * 16u + (quarter & 1u) * 8u + word;
  let highAt = block * 16u + half * 8u + word;
  let lowShift = (quarter >> 1u) * 4u;
  let highShift = quarter * 2u;
  let first = ((lowBits[lowAt] >> lowShift) & 0x0f0f0f0fu) | (((highBits[highAt] >> highShift) & 0x03030303u) << 4u);
  let second =
    ((lowBits[lowAt + 1u] >> lowShift) & 0x0f0f0f0fu) | (((highBits[highAt + 1u] >> highShift) & 0x03030303u) << 4u);
  return mat2x4f(vec4f(unpack4xU8(first)) - 32.0, vec4f(unpack4xU8(second)) - 32.0);
}

// scaleRow counts groups of 64 weights before the row: four to a block.
fn loadScale(scaleRow: u32, octet: u32) -> f32 {
  let block = scaleRow / 4u + octet / 32u;
  let group = (octet & 31u) / 2u;
  let scale = unpack4xI8(scales[block * 4u + group / 4u])[group & 3u];
  return unpack2x16float(blockScales[block]).x * f32(scale);
}
