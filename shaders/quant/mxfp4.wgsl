// Four-bit floats (E2M1) as nibbles, and one exponent (E8M0) for 32 weights, two to a word beside a byte that is not read.
@group(0) @binding(1) var<storage, read> exponents: array<u32>;

// Twice the values of E2M1, signed bytes: 0 1 2 3 4 6 8 12, then the same below zero.
const LEVELS = vec4u(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);

alias Chunk = vec4u;
const CHUNK_QUADS = 8u;

fn loadChunk(index: u32) -> Chunk {
  return quants[index];
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return levelsOf(LEVELS, nibblesOf(chunk, place));
}

// 2^(exponent − 128), half of what E8M0 says, since the levels are doubled. What would be subnormal is zero.
fn loadScale(row: u32, numBlocks: u32, block: u32) -> f32 {
  let word = exponents[row * ((numBlocks + 1u) / 2u) + block / 2u];
  let exponent = (word >> (16u * (block & 1u))) & 0xffu;
  return bitcast<f32>((max(exponent, 1u) - 1u) << 23u);
}
